/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A table of first bytes. */
#include "data/foreign.h"

#include <stdbool.h>
#include <string.h>

#define PANDAS(reader) "python3 -c \"import pandas; pandas." reader "('FILE').to_csv('FILE.csv', index=False)\""

static const struct {
    const char *magic;
    size_t len;
    bool binary; /* the magic could begin a header line: another of the first bytes must be a control character */
    const char *what, *convert;
} formats[] = {
    { "PAR1", 4, true, "Parquet",
        "duckdb -c \"copy (from read_parquet('FILE')) to 'FILE.csv'\", or " PANDAS("read_parquet") },
    { "ARROW1\0\0", 8, false, "an Arrow file (Feather)", PANDAS("read_feather") },
    { "FEA1\0\0\0\0", 8, false, "Feather of version 1", PANDAS("read_feather") },
    { "\xff\xff\xff\xff", 4, false, "an Arrow stream",
        "python3 -c \"import pyarrow; pyarrow.ipc.open_stream('FILE').read_pandas().to_csv('FILE.csv', "
        "index=False)\"" },
    { "ORC", 3, true, "ORC", PANDAS("read_orc") },
    { "Obj\x01", 4, false, "Avro",
        "duckdb -c \"install avro; load avro; copy (from read_avro('FILE')) to 'FILE.csv'\"" },
    { "\x89HDF\r\n\x1a\n", 8, false, "HDF5", PANDAS("read_hdf") },
    { "SQLite format 3", 15, false, "an SQLite database", "sqlite3 -header -csv FILE 'select * from TABLE' >FILE.csv" },
    { "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8, false, "a file of an old Excel", "saving it as CSV UTF-8 there" },
    { "\x80\x02", 2, false, "a Python pickle", PANDAS("read_pickle") ", if you trust it" },
    { "\x80\x03", 2, false, "a Python pickle", PANDAS("read_pickle") ", if you trust it" },
    { "\x80\x04", 2, false, "a Python pickle", PANDAS("read_pickle") ", if you trust it" },
    { "\x80\x05", 2, false, "a Python pickle", PANDAS("read_pickle") ", if you trust it" },
    { "RDX3\nX\n", 7, false, "R's saved data", "R's write.csv" },
    { "BZh", 3, true, "compressed with bzip2", "bzcat FILE | gzip >FILE.gz" },
    { "\xfd\x37zXZ", 6, false, "compressed with xz", "xzcat FILE | gzip >FILE.gz" },
    { "\x04\x22\x4d\x18", 4, false, "compressed with lz4", "lz4cat FILE | gzip >FILE.gz" },
    { "\xff\xfe\0\0", 4, false, "text in UTF-32", "iconv -f UTF-32 -t UTF-8 FILE >FILE.csv" },
    { "\xff\xfe", 2, false, "text in UTF-16", "iconv -f UTF-16 -t UTF-8 FILE >FILE.csv" },
    { "\xfe\xff", 2, false, "text in UTF-16", "iconv -f UTF-16 -t UTF-8 FILE >FILE.csv" },
    { "%PDF-", 5, false, "PDF", "saving the table it was made of" },
};

static bool has_control(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < 0x20 && p[i] != '\t' && p[i] != '\r' && p[i] != '\n')
            return true;
    return false;
}

int ml_foreign_check(const void *head, size_t n, const char *name, struct ml_err *err)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (n >= formats[i].len && memcmp(head, formats[i].magic, formats[i].len) == 0 &&
            (!formats[i].binary || has_control(head, n)))
            return ml_err_set(err, ML_LOCAL, "'%s': %s, which isn't read; convert it by %s", name, formats[i].what,
                formats[i].convert);
    return 0;
}
