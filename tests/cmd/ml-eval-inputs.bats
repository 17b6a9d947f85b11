# ml-eval: the forms in which predictions come, all of which mean the same.
bats_require_minimum_version 1.5.0
load helper

# a table of 4,000 rows with a score, in several blocks once it is repeated
rows() {
    awk -v n="${1:-4000}" 'BEGIN {
        srand(5)
        print "id,label,score,region"
        for (i = 1; i <= n; i++) printf "r%d,%d,%.6f,%s\n", i, rand() < .4, rand(), substr("abcde", 1 + i % 5, 1)
    }'
}

# what a run found, without where it came from
found() {
    ml-eval -q --slice region "$@" | python3 -c '
import json, sys
e = json.load(sys.stdin)["evaluation"]
del e["predictions"]
print(json.dumps(e))'
}

@test "gzip and zstd are undone, whatever the name; the card names the stored bytes" {
    rows 40000 >p.csv
    gzip -k p.csv
    zstd -q p.csv
    mv p.csv.gz same
    found p.csv >plain
    [ "$(found same)" = "$(cat plain)" ]
    [ "$(found p.csv.zst)" = "$(cat plain)" ]
    [ "$(found - <same)" = "$(cat plain)" ]
    [ "$(cat p.csv.zst | found -)" = "$(cat plain)" ]
    [ "$(ml-eval -q same | ml get evaluation.predictions.digest)" = "sha256:$(sha256sum <same | cut -d' ' -f1)" ]
    [ "$(ml-eval -q same | ml get evaluation.predictions.size)" = "$(stat -c %s same)" ]
    # members and frames one behind the other are one file
    head -n 1000 p.csv | gzip >two
    tail -n +1001 p.csv | gzip >>two
    [ "$(found two)" = "$(cat plain)" ]
}

@test "what is compressed and cut off, or damaged, is refused" {
    rows 40000 >p.csv
    gzip -k p.csv
    zstd -q p.csv
    for f in p.csv.gz p.csv.zst; do
        head -c 50000 $f >cut
        run --separate-stderr ml-eval cut
        fails 3 "'cut': the (gzip|zstd) data ends too early"
        { head -c 50000 $f; head -c 100 /dev/zero | tr '\0' x; tail -c +50101 $f; } >bad
        run --separate-stderr ml-eval bad
        fails 3 "'bad': (malformed (gzip|zstd) data|line)"
    done
    { cat p.csv.gz; echo more; } >behind
    run --separate-stderr ml-eval behind
    fails 3 "'behind': malformed gzip data"
    gzip <p.csv.gz >twice
    run --separate-stderr ml-eval twice
    fails 3 "'twice': compressed twice"
    printf '' | gzip >empty
    run --separate-stderr ml-eval empty
    fails 3 "'empty': the file is empty"
}

@test "a bomb costs no memory: an endless line and endless zeros end at the limit of a row" {
    head -c 300000000 /dev/zero | gzip >bomb
    run --separate-stderr bash -c 'ulimit -v 400000; ml-eval bomb'
    fails 3 "'bomb': line 1"
    { echo label,prediction; head -c 300000000 /dev/zero | tr '\0' x; } | zstd -q >long
    run --separate-stderr bash -c 'ulimit -v 400000; ml-eval long'
    fails 3 "'long': line 2: the row is longer than 16 MiB"
}

@test "a row that is refused ends it, though the pipe stays open" {
    rows 600000 | sed '12s/0\..*/high,a/' | gzip >bad
    mkfifo pipe
    { cat bad || true; exec sleep 30; } >pipe 3>&- &
    run --separate-stderr timeout 20 ml-eval - <pipe
    kill $! || true
    fails 3 "line 12, column 'score': 'high'"
}

@test "files of other formats are named, with what converts them" {
    names() {
        cat >f
        run --separate-stderr ml-eval f
        fails 3 "'f': $1.*, which isn't read; convert it by .*$2"
    }
    printf 'PAR1\x15\x04\x15\x10' | names Parquet read_parquet
    printf 'ARROW1\0\0\xff\xff' | names 'an Arrow file' read_feather
    printf '\x89HDF\r\n\x1a\n\0\0' | names HDF5 read_hdf
    printf '\x80\x04\x95\x10\0' | names 'a Python pickle' read_pickle
    printf 'SQLite format 3\0\x10' | names 'an SQLite database' sqlite3
    printf 'BZh91AY&SY\x01\x02' | names 'compressed with bzip2' bzcat
    printf '\xfd7zXZ\0\0\x04' | names 'compressed with xz' xzcat
    printf 'label,prediction\n' | iconv -t UTF-16 | names 'text in UTF-16' iconv
    printf 'label,prediction\n' | iconv -t UTF-32 | names 'text in UTF-32' iconv
    printf 'PAR1\x15\x04\x15\x10' | gzip | names Parquet read_parquet
    # a column may be called so
    printf 'PAR1,label,prediction\n1,a,a\n' >f.csv
    ml-eval -q f.csv >card.json
    printf 'ORC_ñ,label,prediction\n1,a,a\n' >f.csv
    ml-eval -q f.csv >card.json
}
