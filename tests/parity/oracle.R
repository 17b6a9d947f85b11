# SPDX-License-Identifier: GPL-3.0-or-later
# What R says of generated cases: pROC's areas with DeLong's variances and tests, boot's bootstrap, Wilson's intervals.
# usage: oracle.R REPLICATES CASES.csv BOOT.csv PROPORTIONS.csv
suppressMessages({
    library(pROC)
    library(boot)
})
options(digits = 17, warn = -1)
args <- commandArgs(trailingOnly = TRUE)
replicates <- as.integer(args[1])
args <- args[-1]
say <- function(...) cat(..., "\n")
number <- function(x) formatC(x, digits = 17, format = "g")

cases <- read.csv(args[1])
for (d in split(cases, cases$case)) {
    a <- roc(d$y, d$a, levels = c(0, 1), direction = "<", quiet = TRUE)
    b <- roc(d$y, d$b, levels = c(0, 1), direction = "<", quiet = TRUE)
    t <- roc.test(a, b, method = "delong", paired = TRUE)
    ci <- if (is.null(t$conf.int)) c(NA, NA) else t$conf.int
    say("roc", d$case[1], number(as.numeric(auc(a))), number(as.numeric(auc(b))), number(var(a, method = "delong")),
        number(cov(a, b, method = "delong")), number(unname(t$statistic)), number(t$p.value), number(ci[1]), number(ci[2]))
}

median_ae <- function(d, i) median(abs(d$y[i] - d$a[i]))
mae <- function(d, i) mean(abs(d$y[i] - d$a[i]))
r2 <- function(d, i) 1 - sum((d$y[i] - d$a[i])^2) / sum((d$y[i] - mean(d$y[i]))^2)
difference <- function(d, i) median(abs(d$y[i] - d$b[i])) - median(abs(d$y[i] - d$a[i]))
statistics <- list(median_ae = median_ae, mae = mae, r2 = r2, difference = difference)
set.seed(1)
samples <- read.csv(args[2])
for (d in split(samples, samples$case))
    for (name in names(statistics)) {
        bt <- boot(d, statistics[[name]], R = replicates)
        q <- quantile(bt$t, c(0.025, 0.975), type = 7)
        say("boot", d$case[1], name, number(bt$t0), number(sd(bt$t)), number(q[1]), number(q[2]),
            number(mean((bt$t - mean(bt$t))^4) / mean((bt$t - mean(bt$t))^2)^2))
    }

proportions <- read.csv(args[3])
for (k in seq_len(nrow(proportions))) {
    p <- prop.test(proportions$x[k], proportions$n[k], correct = FALSE, conf.level = proportions$confidence[k])
    say("wilson", k - 1, number(p$conf.int[1]), number(p$conf.int[2]))
}
