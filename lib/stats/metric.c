/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one static table of metrics, and the rows that a parameter makes of it. */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "stats/metric.h"

#define CLASSES (ML_TASK_BINARY | ML_TASK_MULTICLASS)
#define ROW(name, family, id, average, parameter, x, common, tasks, need, direction, low, high, scale, fallback)       \
    {                                                                                                                  \
        name, ML_FAMILY_##family, ML_METRIC_##id, ML_AVERAGE_##average, ML_PARAMETER_##parameter, x, common, tasks,    \
            ML_NEED_##need, direction, low, high, ML_SCALE_##scale, ML_FALLBACK_##fallback                             \
    }
#define COMMON(name, family, id, average, ...) ROW(name, family, id, average, NONE, 0, true, __VA_ARGS__)
#define ASKED(name, family, id, average, ...)  ROW(name, family, id, average, NONE, 0, false, __VA_ARGS__)
/* NAME@X; `x` NaN: the name alone means nothing. */
#define WITH(name, family, id, average, parameter, x, ...)                                                             \
    ROW(name, family, id, average, parameter, x, false, __VA_ARGS__)
/* Of sets of labels. */
#define LABELS(name, id, average, parameter, x, common, need, direction, high, scale, fallback)                        \
    ROW(name, LABELS, id, average, parameter, x, common, ML_TASK_MULTILABEL, need, direction, 0, high, scale, fallback)
#define LABELS_COMMON(name, id, average, need, direction, scale, fallback)                                             \
    LABELS(name, id, average, NONE, 0, true, need, direction, 1, scale, fallback)
#define LABELS_ASKED(name, id, average, need, direction, high, scale, fallback)                                        \
    LABELS(name, id, average, NONE, 0, false, need, direction, high, scale, fallback)
#define LABELS_WITH(name, id, average, scale, fallback)                                                                \
    LABELS(name, id, average, REAL, NAN, false, PRED, 1, 1, scale, fallback)
#define TOP(n, common)                                                                                                 \
    ROW("top_" #n "_accuracy", CLASS_LOSS, TOP_K, NONE, NONE, n, common, ML_TASK_MULTICLASS, SCORE, 1, 0, 1,           \
        PROPORTION, NONE)
#define OF_NUMBER(name, id, parameter, x, direction, low, high, scale)                                                 \
    ROW(name, NUMBER, id, NONE, parameter, x, false, ML_TASK_REGRESSION, NUMBER, direction, low, high, scale, NONE)
#define LOSS(name, id, high, scale) OF_NUMBER(name, id, NONE, 0, -1, 0, high, scale)

#define MANY_RANKS(name, id, average, scale, fallback)                                                                 \
    ASKED(name, RANK, id, average, ML_TASK_MULTICLASS, SCORE, 1, 0, 1, scale, fallback)
#define AT(name, id, high, scale) WITH(name, RANK, id, NONE, TOP, NAN, ML_TASK_BINARY, SCORE, 1, 0, high, scale, ROWS)
#define OF_QUERY(name, id, x, common)                                                                                  \
    ROW(name, QUERY, id, NONE, COUNT, x, common, ML_TASK_RANKING, NUMBER, 1, 0, 1, LOGIT, ROWS)

#define BINNED(name, id, scale) WITH(name, CALIBRATION, id, NONE, COUNT, 15, CLASSES, PROBA, -1, 0, 1, scale, NONE)

static const struct ml_metric table[] = {
    COMMON("accuracy", COUNTS, ACCURACY, NONE, CLASSES, PRED, 1, 0, 1, PROPORTION, NONE),
    COMMON("balanced_accuracy", COUNTS, BALANCED_ACCURACY, NONE, CLASSES, PRED, 1, 0, 1, LOGIT, MACRO),
    COMMON("precision", COUNTS, PRECISION, BINARY, ML_TASK_BINARY, PRED, 1, 0, 1, PROPORTION, NONE),
    COMMON("recall", COUNTS, RECALL, BINARY, ML_TASK_BINARY, PRED, 1, 0, 1, PROPORTION, NONE),
    COMMON("f1", COUNTS, F1, BINARY, ML_TASK_BINARY, PRED, 1, 0, 1, LOGIT, JACCARD),
    ASKED("precision_micro", COUNTS, PRECISION, MICRO, CLASSES, PRED, 1, 0, 1, PROPORTION, NONE),
    ASKED("recall_micro", COUNTS, RECALL, MICRO, CLASSES, PRED, 1, 0, 1, PROPORTION, NONE),
    ASKED("f1_micro", COUNTS, F1, MICRO, CLASSES, PRED, 1, 0, 1, PROPORTION, NONE),
    COMMON("precision_macro", COUNTS, PRECISION, MACRO, CLASSES, PRED, 1, 0, 1, LOGIT, MACRO),
    ASKED("recall_macro", COUNTS, RECALL, MACRO, CLASSES, PRED, 1, 0, 1, LOGIT, MACRO),
    COMMON("f1_macro", COUNTS, F1, MACRO, CLASSES, PRED, 1, 0, 1, LOGIT, MACRO),
    COMMON("precision_weighted", COUNTS, PRECISION, WEIGHTED, CLASSES, PRED, 1, 0, 1, LOGIT, ROWS),
    ASKED("recall_weighted", COUNTS, RECALL, WEIGHTED, CLASSES, PRED, 1, 0, 1, LOGIT, ROWS),
    COMMON("f1_weighted", COUNTS, F1, WEIGHTED, CLASSES, PRED, 1, 0, 1, LOGIT, ROWS),
    COMMON("mcc", COUNTS, MCC, NONE, CLASSES, PRED, 1, -1, 1, LINEAR, NONE),
    COMMON("roc_auc", RANK, ROC_AUC, NONE, CLASSES, SCORE, 1, 0, 1, AUC, NEWCOMBE),
    COMMON("average_precision", RANK, AVERAGE_PRECISION, NONE, ML_TASK_BINARY, SCORE, 1, 0, 1, LOGIT, ROWS),
    COMMON("log_loss", CLASS_LOSS, LOG_LOSS, NONE, CLASSES, PROBA, -1, 0, INFINITY, LINEAR, NONE),
    COMMON("brier", CLASS_LOSS, BRIER, NONE, ML_TASK_BINARY, PROBA, -1, 0, 1, LOGIT, ROWS),
    TOP(5, true),
    LABELS_COMMON("accuracy", ACCURACY, NONE, PRED, 1, PROPORTION, NONE),
    LABELS_COMMON("hamming_loss", HAMMING_LOSS, NONE, PRED, -1, LOGIT, ROWS),
    LABELS_COMMON("precision_micro", PRECISION, MICRO, PRED, 1, LOGIT, ROWS),
    LABELS_COMMON("recall_micro", RECALL, MICRO, PRED, 1, LOGIT, ROWS),
    LABELS_COMMON("f1_micro", F1, MICRO, PRED, 1, LOGIT, ROWS),
    LABELS_COMMON("precision_macro", PRECISION, MACRO, PRED, 1, LOGIT, MACRO),
    LABELS_COMMON("recall_macro", RECALL, MACRO, PRED, 1, LOGIT, MACRO),
    LABELS_COMMON("f1_macro", F1, MACRO, PRED, 1, LOGIT, MACRO),
    LABELS_COMMON("precision_weighted", PRECISION, WEIGHTED, PRED, 1, LOGIT, ROWS),
    LABELS_COMMON("recall_weighted", RECALL, WEIGHTED, PRED, 1, LOGIT, ROWS),
    LABELS_COMMON("f1_weighted", F1, WEIGHTED, PRED, 1, LOGIT, ROWS),
    LABELS_COMMON("precision_samples", PRECISION, SAMPLES, PRED, 1, LOGIT, ROWS),
    LABELS_COMMON("recall_samples", RECALL, SAMPLES, PRED, 1, LOGIT, ROWS),
    LABELS_COMMON("f1_samples", F1, SAMPLES, PRED, 1, LOGIT, ROWS),
    LABELS_COMMON("jaccard_samples", JACCARD, SAMPLES, PRED, 1, LOGIT, ROWS),
    LABELS_COMMON("roc_auc", ROC_AUC, NONE, SCORE, 1, AUC, NEWCOMBE),
    LABELS_COMMON("average_precision", AVERAGE_PRECISION, NONE, SCORE, 1, LOGIT, ROWS),
    LABELS_COMMON("lrap", LRAP, NONE, SCORE, 1, LOGIT, ROWS),
    COMMON("mae", NUMBER, MAE, NONE, ML_TASK_REGRESSION, NUMBER, -1, 0, INFINITY, LINEAR, NONE),
    COMMON("rmse", NUMBER, RMSE, NONE, ML_TASK_REGRESSION, NUMBER, -1, 0, INFINITY, LINEAR, NONE),
    COMMON("r2", NUMBER, R2, NONE, ML_TASK_REGRESSION, NUMBER, 1, -INFINITY, 1, LINEAR, NONE),
    COMMON("median_ae", NUMBER, MEDIAN_AE, NONE, ML_TASK_REGRESSION, NUMBER, -1, 0, INFINITY, BOOTSTRAP, NONE),
    WITH("fbeta", COUNTS, FBETA, BINARY, REAL, NAN, ML_TASK_BINARY, PRED, 1, 0, 1, LOGIT, JACCARD),
    WITH("fbeta_micro", COUNTS, FBETA, MICRO, REAL, NAN, CLASSES, PRED, 1, 0, 1, PROPORTION, NONE),
    WITH("fbeta_macro", COUNTS, FBETA, MACRO, REAL, NAN, CLASSES, PRED, 1, 0, 1, LOGIT, MACRO),
    WITH("fbeta_weighted", COUNTS, FBETA, WEIGHTED, REAL, NAN, CLASSES, PRED, 1, 0, 1, LOGIT, ROWS),
    ASKED("jaccard", COUNTS, JACCARD, BINARY, ML_TASK_BINARY, PRED, 1, 0, 1, PROPORTION, NONE),
    ASKED("jaccard_micro", COUNTS, JACCARD, MICRO, CLASSES, PRED, 1, 0, 1, LOGIT, JACCARD),
    ASKED("jaccard_macro", COUNTS, JACCARD, MACRO, CLASSES, PRED, 1, 0, 1, LOGIT, MACRO),
    ASKED("jaccard_weighted", COUNTS, JACCARD, WEIGHTED, CLASSES, PRED, 1, 0, 1, LOGIT, ROWS),
    LABELS_WITH("fbeta_micro", FBETA, MICRO, LOGIT, ROWS),
    LABELS_WITH("fbeta_macro", FBETA, MACRO, LOGIT, MACRO),
    LABELS_WITH("fbeta_weighted", FBETA, WEIGHTED, LOGIT, ROWS),
    LABELS_WITH("fbeta_samples", FBETA, SAMPLES, LOGIT, ROWS),
    LABELS_ASKED("jaccard_micro", JACCARD, MICRO, PRED, 1, 1, LOGIT, ROWS),
    LABELS_ASKED("jaccard_macro", JACCARD, MACRO, PRED, 1, 1, LOGIT, MACRO),
    LABELS_ASKED("jaccard_weighted", JACCARD, WEIGHTED, PRED, 1, 1, LOGIT, ROWS),
    LABELS_ASKED("roc_auc_micro", ROC_AUC, MICRO, SCORE, 1, 1, LOGIT, ROWS),
    LABELS_ASKED("average_precision_micro", AVERAGE_PRECISION, MICRO, SCORE, 1, 1, LOGIT, ROWS),
    LABELS_ASKED("coverage_error", COVERAGE_ERROR, NONE, SCORE, -1, INFINITY, LINEAR, NONE),
    LABELS_ASKED("label_ranking_loss", RANKING_LOSS, NONE, SCORE, -1, 1, LOGIT, ROWS),
    ASKED("specificity", COUNTS, SPECIFICITY, BINARY, ML_TASK_BINARY, PRED, 1, 0, 1, PROPORTION, NONE),
    ASKED("specificity_macro", COUNTS, SPECIFICITY, MACRO, CLASSES, PRED, 1, 0, 1, LOGIT, MACRO),
    ASKED("hamming_loss", COUNTS, HAMMING_LOSS, NONE, CLASSES, PRED, -1, 0, 1, PROPORTION, NONE),
    ASKED("cost", CLASS_LOSS, COST, NONE, CLASSES, PRED, -1, 0, INFINITY, LOGIT, ROWS),
    ASKED("cohen_kappa", COUNTS, KAPPA, NONE, CLASSES, PRED, 1, -1, 1, LINEAR, NONE),
    ASKED("cohen_kappa_linear", COUNTS, KAPPA_LINEAR, NONE, CLASSES, PRED, 1, -1, 1, LINEAR, NONE),
    ASKED("cohen_kappa_quadratic", COUNTS, KAPPA_QUADRATIC, NONE, CLASSES, PRED, 1, -1, 1, LINEAR, NONE),
    TOP(2, false),
    TOP(3, false),
    TOP(10, false),
    MANY_RANKS("roc_auc_ovr", ROC_AUC, MACRO, AUC, NEWCOMBE),
    MANY_RANKS("roc_auc_ovr_weighted", ROC_AUC, WEIGHTED, AUC, NEWCOMBE),
    MANY_RANKS("roc_auc_ovo", ROC_AUC_OVO, MACRO, AUC, NEWCOMBE),
    MANY_RANKS("roc_auc_ovo_weighted", ROC_AUC_OVO, WEIGHTED, AUC, NEWCOMBE),
    MANY_RANKS("average_precision_macro", AVERAGE_PRECISION, MACRO, LOGIT, ROWS),
    MANY_RANKS("average_precision_weighted", AVERAGE_PRECISION, WEIGHTED, LOGIT, ROWS),
    ASKED("gini", RANK, GINI, NONE, ML_TASK_BINARY, SCORE, 1, -1, 1, AUC, NEWCOMBE),
    ASKED("ks", RANK, KS, NONE, ML_TASK_BINARY, SCORE, 1, 0, 1, MAXIMUM, ROWS),
    AT("precision", PRECISION_AT, 1, LOGIT),
    AT("recall", RECALL_AT, 1, LOGIT),
    AT("lift", LIFT_AT, INFINITY, LINEAR),
    BINNED("ece", ECE, BINS),
    BINNED("mce", MCE, NONE), /* the largest may be of a bin without a row here */
    ASKED("hinge_loss", CLASS_LOSS, HINGE, NONE, CLASSES, SCORE, -1, 0, INFINITY, LINEAR, NONE),
    ASKED("brier_multiclass", CLASS_LOSS, BRIER_MANY, NONE, ML_TASK_MULTICLASS, PROBA, -1, 0, 2, LINEAR, NONE),
    LOSS("mse", MSE, INFINITY, LINEAR),
    LOSS("msle", MSLE, INFINITY, LINEAR),
    LOSS("rmsle", RMSLE, INFINITY, LINEAR),
    LOSS("mape", MAPE, INFINITY, LINEAR),
    LOSS("smape", SMAPE, 2, LINEAR),
    LOSS("max_error", MAX_ERROR, INFINITY, NONE),
    OF_NUMBER("explained_variance", EXPLAINED_VARIANCE, NONE, 0, 1, -INFINITY, 1, LINEAR),
    OF_NUMBER("d2_absolute_error", D2_PINBALL, NONE, 0.5, 1, -INFINITY, 1, LINEAR),
    OF_NUMBER("poisson_deviance", DEVIANCE, NONE, 1, -1, 0, INFINITY, LINEAR),
    OF_NUMBER("gamma_deviance", DEVIANCE, NONE, 2, -1, 0, INFINITY, LINEAR),
    OF_NUMBER("tweedie_deviance", DEVIANCE, POWER, NAN, -1, 0, INFINITY, LINEAR),
    OF_NUMBER("pinball", PINBALL, LEVEL, NAN, -1, 0, INFINITY, LINEAR),
    OF_NUMBER("d2_pinball", D2_PINBALL, LEVEL, NAN, 1, -INFINITY, 1, LINEAR),
    OF_NUMBER("d2_tweedie", D2_DEVIANCE, POWER, NAN, 1, -INFINITY, 1, LINEAR),
    OF_QUERY("ndcg", NDCG, 0, true),
    OF_QUERY("map", MAP, 0, true),
    OF_QUERY("mrr", MRR, 0, true),
    OF_QUERY("precision", QUERY_PRECISION, NAN, false),
    OF_QUERY("recall", QUERY_RECALL, NAN, false),
};

#define KNOWN (sizeof table / sizeof *table)

/* Metrics that a parameter made. */
struct made {
    struct ml_metric m;
    struct made *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct made *made;

size_t ml_metric_count(void)
{
    return KNOWN;
}

const struct ml_metric *ml_metric_at(size_t i)
{
    return &table[i];
}

static bool read_parameter(enum ml_parameter kind, const char *s, double *x)
{
    size_t n = strlen(s);
    bool share = kind == ML_PARAMETER_TOP && n > 1 && s[n - 1] == '%';

    if (!ml_double_parse(s, n - share, x) || isinf(*x))
        return false;
    if (kind == ML_PARAMETER_POWER)
        return (*x <= 0 || *x >= 1) && fabs(*x) <= 1000;
    if (!(*x > 0))
        return false;
    if (share) {
        *x /= 100;
        return *x < 1;
    }
    if (kind == ML_PARAMETER_LEVEL)
        return *x < 1;
    return kind == ML_PARAMETER_REAL || (*x == floor(*x) && *x < 4294967296.0);
}

/* NAME@X, made when it is first asked for. */
static const struct ml_metric *with_parameter(const struct ml_metric *base, const char *name, const char *parameter)
{
    struct made *at;
    double x;

    if (base->parameter == ML_PARAMETER_NONE || !read_parameter(base->parameter, parameter, &x))
        return NULL;
    pthread_mutex_lock(&lock);
    for (at = made; at && (at->m.tasks != base->tasks || strcmp(at->m.name, name) != 0); at = at->next)
        ;
    if (!at) {
        at = ml_malloc(sizeof *at);
        at->m = *base;
        at->m.name = ml_strdup(name);
        at->m.x = x;
        at->next = made;
        made = at;
    }
    pthread_mutex_unlock(&lock);
    return &at->m;
}

static const struct ml_metric *find(const char *name, int tasks)
{
    size_t n = strcspn(name, "@");

    for (size_t i = 0; i < KNOWN; i++) {
        bool with = name[n] == '@';

        if (!(table[i].tasks & tasks) || strncmp(table[i].name, name, n) != 0 || table[i].name[n] != '\0')
            continue;
        /* "precision" and "precision@100" are two metrics. */
        if (with && table[i].parameter != ML_PARAMETER_NONE)
            return with_parameter(&table[i], name, name + n + 1);
        if (!with && !isnan(table[i].x))
            return &table[i];
    }
    return NULL;
}

const struct ml_metric *ml_metric_find(const char *name)
{
    return find(name, ~0);
}

const struct ml_metric *ml_metric_of(const char *name, enum ml_task task)
{
    return find(name, (int)task);
}

bool ml_metric_top(const struct ml_metric *m)
{
    return m->id == ML_METRIC_PRECISION_AT || m->id == ML_METRIC_RECALL_AT || m->id == ML_METRIC_LIFT_AT;
}

bool ml_metric_ranks(const struct ml_metric *m)
{
    return m->family == ML_FAMILY_RANK || m->family == ML_FAMILY_QUERY ||
           (m->family == ML_FAMILY_LABELS && m->need == ML_NEED_SCORE);
}

double ml_metric_share(const struct ml_metric *m, size_t n)
{
    return m->x < 1 ? m->x : m->x / (double)n;
}

/* What two models are compared by, however it is written. */
struct meaning {
    enum ml_metric_id id;
    enum ml_average average;
    double x;
};

static struct meaning of_classes(const struct ml_metric *m)
{
    bool micro = m->average == ML_AVERAGE_MICRO, jaccard = m->id == ML_METRIC_JACCARD;

    /* with one answer a row all that is wrong for one class is wrong for another */
    if (m->family == ML_FAMILY_COUNTS &&
        (micro || m->id == ML_METRIC_HAMMING_LOSS || (m->id == ML_METRIC_RECALL && m->average == ML_AVERAGE_WEIGHTED)))
        return (struct meaning){ ML_METRIC_ACCURACY, ML_AVERAGE_NONE, 0 };
    if ((m->id == ML_METRIC_FBETA && m->x == 1) || (jaccard && (micro || m->average == ML_AVERAGE_BINARY)))
        return (struct meaning){ ML_METRIC_F1, m->average, 0 };
    return (struct meaning){ m->id, m->average, m->x };
}

static struct meaning meaning(const struct ml_metric *m)
{
    switch (m->id) {
    case ML_METRIC_GINI:
        return (struct meaning){ ML_METRIC_ROC_AUC, ML_AVERAGE_NONE, 0 };
    case ML_METRIC_ROC_AUC: /* roc_auc_ovr */
        if (m->average == ML_AVERAGE_MACRO)
            return (struct meaning){ ML_METRIC_ROC_AUC, ML_AVERAGE_NONE, 0 };
        break;
    case ML_METRIC_RECALL_AT:
    case ML_METRIC_LIFT_AT:
        return (struct meaning){ ML_METRIC_PRECISION_AT, m->average, m->x };
    case ML_METRIC_MSE:
    case ML_METRIC_RMSE:
    case ML_METRIC_R2: /* 1 - mse / variance of the labels */
        return (struct meaning){ ML_METRIC_DEVIANCE, m->average, 0 };
    case ML_METRIC_RMSLE:
        return (struct meaning){ ML_METRIC_MSLE, m->average, 0 };
    case ML_METRIC_MAE:
        return (struct meaning){ ML_METRIC_PINBALL, m->average, 0.5 };
    case ML_METRIC_D2_PINBALL:
        return (struct meaning){ ML_METRIC_PINBALL, m->average, m->x };
    case ML_METRIC_D2_DEVIANCE:
        return (struct meaning){ ML_METRIC_DEVIANCE, m->average, m->x };
    default:
        break;
    }
    return of_classes(m);
}

bool ml_metric_same(const struct ml_metric *a, const struct ml_metric *b)
{
    struct meaning x = meaning(a), y = meaning(b);

    return x.id == y.id && x.average == y.average && x.x == y.x;
}

bool ml_metric_has_psi(const struct ml_metric *m)
{
    return m->scale != ML_SCALE_BOOTSTRAP && m->scale != ML_SCALE_NONE;
}

bool ml_metric_bounded(const struct ml_metric *m)
{
    return m->low >= -1 && m->high <= 1;
}

size_t ml_metric_smaller_class(const struct ml_metric *m, size_t n)
{
    return m->scale == ML_SCALE_AUC || m->id == ML_METRIC_KS ? n : SIZE_MAX;
}
