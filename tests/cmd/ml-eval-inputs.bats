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
e.pop("columns", None)
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

@test "ids in any order: a file that is read a second time is read from its start" {
    seq 400000 -1 1 | awk 'BEGIN { print "id,label,score" } { printf "%d,%d,0.%04d\n", $1, $1 % 2, $1 * 7919 % 9973 }' >p.csv
    ml-eval -q p.csv | ml get evaluation.metrics >plain
    gzip -1k p.csv
    zstd -q p.csv
    /usr/bin/python3 -c 'import numpy as np; i = np.arange(400000, 0, -1.); np.save("p.npy", np.column_stack([i, i % 2, i * 7919 % 9973 / 10000]))'
    { cat p.csv; sed -n 77p p.csv; } | gzip -1 >twice
    for i in 1 2 3 4 5 6; do
        [ "$(ml-eval -q p.csv.gz | ml get evaluation.metrics)" = "$(cat plain)" ]
        [ "$(ml-eval -q p.csv.zst | ml get evaluation.metrics)" = "$(cat plain)" ]
        [ "$(ml-eval -q - <p.csv.gz | ml get evaluation.metrics)" = "$(cat plain)" ]
        [ "$(ml-eval -q --id 1 --label 2 --score 3 p.npy | ml get evaluation.metrics)" = "$(cat plain)" ]
        run --separate-stderr ml-eval -q twice
        fails 3 "'twice': line 400002: the id '399925' stands twice \(rows 76 and 400001\)"
    done
}

@test "what is wrong first is told first: a row, then that the file is cut off" {
    rows 100000 | sed '12s/0\..*/high,a/' | gzip | head -c -100 >cut
    run --separate-stderr ml-eval cut
    fails 3 "line 12, column 'score': 'high'"
    rows 100000 | gzip | head -c -100 >cut
    run --separate-stderr ml-eval cut
    fails 3 "'cut': the gzip data ends too early"
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

@test "several files are one table: any order of columns, any format, compressed or not" {
    rows 9000 >p.csv
    found p.csv >plain
    head -n 3001 p.csv >a.csv
    { echo 'score;region;id;label'; sed -n 3002,6001p p.csv | awk -F, '{ print $3 ";" $4 ";" $1 ";" $2 }'; } | gzip >b
    sed -n 6002,9001p p.csv | awk -F, '{ printf "{\"label\":%s,\"id\":\"%s\",\"region\":\"%s\",\"score\":%s}\n", $2, $1, $4, $3 }' >c.jsonl
    [ "$(found a.csv b c.jsonl)" = "$(cat plain)" ]
    [ "$(found a.csv - c.jsonl <b)" = "$(cat plain)" ]
    [ "$(cat b | found a.csv - c.jsonl)" = "$(cat plain)" ]
    ml-eval -q c.jsonl b a.csv >turned
    [ "$(ml get evaluation.data turned)" = "$(ml-eval -q p.csv | ml get evaluation.data)" ]
    sha256sum a.csv b c.jsonl | sed 's/ .*//; s/^/sha256:/' >list
    [ "$(ml-eval -q a.csv b c.jsonl | ml get evaluation.predictions.digest)" = "sha256:$(sha256sum <list | cut -d' ' -f1)" ]
    [ "$(ml-eval -q a.csv b c.jsonl | ml get evaluation.predictions.size)" -eq $(($(stat -c %s a.csv) + $(stat -c %s b) + $(stat -c %s c.jsonl))) ]
    # where one file is needed, the card says that there were three
    ml-eval -q a.csv b c.jsonl >card.json
    [ "$(ml get evaluation.predictions.files card.json)" = 3 ]
    run --separate-stderr ml-compare --candidate a.csv --current p.csv --card card.json
    fails 4 "'a.csv' isn't what the card's evaluation measured: that were several files; put them in a directory and give that to both"
    run --separate-stderr ml-publish push --card card.json --image oci:none:1 --predictions a.csv oci:out:1
    fails 4 "the card's evaluation measured several files, and what is stored beside an image is one: join them before ml-eval, JSON Lines with cat, CSV with only the first one's header"
    # rows without ids go by their number in the whole
    for f in p a; do cut -d, -f2- $f.csv >$f-bare.csv; done
    { head -n 1 p-bare.csv; tail -n +3002 p-bare.csv; } >b-bare.csv
    [ "$(ml-eval -q a-bare.csv b-bare.csv | ml get evaluation.data)" = "$(ml-eval -q p-bare.csv | ml get evaluation.data)" ]
}

@test "a directory is the files in it, for ml-eval and ml-compare" {
    rows 900 >p.csv
    rows 900 | awk -F, -v OFS=, 'NR > 1 && NR % 5 == 0 { $3 = 1 - $3 } 1' >cur.csv
    mkdir parts one cur
    head -n 301 p.csv >parts/b.csv
    { head -n 1 p.csv; tail -n +302 p.csv; } | gzip >parts/B.csv.gz
    : >parts/_SUCCESS
    : >parts/.b.csv.crc
    cp p.csv one
    cp cur.csv cur/part-0
    # B comes before b, and the marks are none of them
    [ "$(ml-eval -q parts | ml get evaluation)" = "$(ml-eval -q parts/B.csv.gz parts/b.csv | ml get evaluation)" ]
    [ "$(ml-eval -q one/ | ml get evaluation)" = "$(ml-eval -q p.csv | ml get evaluation)" ]
    { head -n 1 p.csv; tail -n +302 p.csv; head -n 301 p.csv | tail -n +2; } >whole.csv # sums go by the order of the rows
    ml-eval -q whole.csv | ml-compare -q --candidate whole.csv --current cur.csv >whole.json
    ml-eval -q parts | ml-compare -q --candidate parts --current cur >card.json
    [ "$(ml get comparison.metrics card.json)" = "$(ml get comparison.metrics whole.json)" ]
    [ "$(ml get evaluation.predictions.files card.json)" = 2 ]
    ml-compare -q --candidate p.csv --candidate parts --current cur -o c.json
    # what people try first
    run --separate-stderr ml-compare --current cur.csv --candidate parts/*
    fails 2 "unexpected operand 'parts/[^']*'; several files of one model are given as the directory"
    run --separate-stderr ml-compare cur.csv parts/b.csv
    fails 2 "unexpected operand 'cur.csv'; the models are given with --current and --candidate"
    run --separate-stderr ml-compare --unmatched drop --current cur.csv --candidate parts/b.csv --candidate parts/B.csv.gz
    fails 4 "several files of one candidate are given as the directory that they lie in"
    # and what isn't one
    mkdir -p none deep/er
    run --separate-stderr ml-eval none
    fails 3 "'none': this directory holds no files"
    run --separate-stderr ml-compare --candidate p.csv --current deep
    fails 3 "'deep': 'er' in it is a directory, too"
    mkdir waits && cp p.csv waits/ && mkfifo waits/q
    run --separate-stderr timeout -k 1 60 ml-eval waits
    fails 3 "'waits': 'q' in it is no file; what may be is named itself"
}

@test "what is wrong in one of several files is told of that file" {
    printf 'id,label,score\na,1,.5\nb,0,.2\n' >1.csv
    second() {
        local pattern=$1
        cat >2.csv
        run --separate-stderr ml-eval 1.csv 2.csv
        fails 3 "'2.csv': $pattern"
    }
    printf 'score,label,id\n.7,1,"c\nx"\nhigh,0,d\n' | second "line 4, column 'score': 'high' is not a number"
    printf 'score,label,id\n.7,1,"c\nx"\n.1,0,a\n' | second "line 4: the id 'a' stands twice \(rows 1 and 4\)"
    printf 'id,label,score\nc,1\n' | second 'line 2: 2 fields, but the header has 3'
    printf 'score,label\n.7,1\n' | second "line 1: no column 'id', which '1.csv' has"
    printf 'id,label,score,x\nc,1,1,1\n' | second "line 1: a column 'x', which '1.csv' lacks"
    printf '' | second 'the file is empty'
    printf '{"id":"c","label":1}\n' | second "line 1, column 'score': the number is missing"
    run --separate-stderr ml-eval 1.csv nowhere.csv
    fails 3 "'nowhere.csv': cannot open"
    # a quote that is left open ends with its file
    printf 'id,label,score\nc,1,"0.5\n' >open.csv
    run --separate-stderr ml-eval open.csv 1.csv
    fails 3 "'open.csv': line 2, field 3: the quote isn't closed"
    # a part without rows is no mistake
    printf 'id,label,score\n' >2.csv
    [ "$(ml-eval -q 2.csv 1.csv 2.csv | ml get evaluation.rows)" = 2 ]
    run --separate-stderr ml-eval 2.csv 2.csv
    fails 3 "'2.csv and 1 more': the header is there, but no row"
    run --separate-stderr ml-eval - 1.csv -
    fails 2 'standard input can be read once only'
}

@test "two models' answers are no parts of one table" {
    rows 40 >a.csv
    awk -F, -v OFS=, 'NR > 1 { $3 = 1 - $3 } { print }' a.csv >b.csv
    run --separate-stderr ml-eval a.csv b.csv
    fails 3 "'b.csv': line 2: the id '.*' stands twice \(rows 1 and 41\), first in 'a.csv'; several files are one table, and two models' are compared by ml-compare"
    # without ids it can't be told for certain
    for f in a b; do cut -d, -f2- $f.csv >$f$f.csv; done
    run -0 --separate-stderr ml-eval -q aa.csv bb.csv
    [[ "$stderr" == *"warning: 2 files are measured as one table, and their labels are the same, row by row; "*"ml-compare --current 'aa.csv' --candidate 'bb.csv' compares them" ]]
    # parts of a table: other labels, as few rows that they may be alike, or labels of one kind
    { head -1 bb.csv; tail -n +3 bb.csv; sed -n 2p bb.csv; } >other.csv
    run -0 --separate-stderr ml-eval -q aa.csv other.csv
    [ -z "$stderr" ]
    run -0 --separate-stderr ml-eval -q <(head -9 aa.csv) <(head -9 bb.csv)
    [ -z "$stderr" ]
    for f in aa bb; do awk -F, 'NR == 1 || $1 == 1' $f.csv >ones-$f.csv; done
    run -0 --separate-stderr ml-eval -q --task binary ones-aa.csv ones-bb.csv
    [ -z "$stderr" ]
    # or labels in an order that is a rule: sorted ones, and such as take turns
    for f in aa bb; do
        { head -1 $f.csv; tail -n +2 $f.csv | sort; } >sorted-$f.csv
        awk -F, -v OFS=, 'NR > 1 { $1 = NR % 3 > 1 } { print }' $f.csv >turns-$f.csv
        awk -F, -v OFS=, 'NR == 1 { $2 = "prediction" } NR > 1 { $1 = NR < 9 ? "dog" : NR < 20 ? "cat" : "ape"; $2 = "cat" } { print }' $f.csv >words-$f.csv
        awk -F, -v OFS=, -v f=$f 'NR == 1 { print $0, "g" } NR > 1 { print $0, f NR % 20 }' $f.csv >group-$f.csv
    done
    for f in sorted turns words; do
        run -0 --separate-stderr ml-eval -q $f-aa.csv $f-bb.csv
        [ -z "$stderr" ]
    done
    # and rows of other groups are other rows
    run -0 --separate-stderr ml-eval -q group-aa.csv group-bb.csv
    [[ "$stderr" == *"measured as one table"* ]]
    run -0 --separate-stderr ml-eval -q --group g group-aa.csv group-bb.csv
    [ -z "$stderr" ]
}

@test "thousands of files, with few descriptors" {
    awk 'BEGIN { for (i = 1; i <= 3000; i++) { f = "s" i ".csv"; printf "id,label,score\nr%d,%d,%.3f\n", i, i % 3 == 0, i % 101 / 101 >f; close(f) } }'
    run --separate-stderr bash -c 'ulimit -n 20; ml-eval s?.csv s??.csv s???.csv s????.csv'
    [ "$status" -eq 0 ]
    [ "$(ml get evaluation.rows <<<"$output")" = 3000 ]
    [ "$(ml get evaluation.data <<<"$output")" = "$({ cat s1.csv; tail -qn 1 s?.csv s??.csv s???.csv s????.csv | tail -n +2; } | ml-eval -q - | ml get evaluation.data)" ]
}

@test "columns by number, and files without a header" {
    rows 500 >p.csv
    found p.csv >plain
    [ "$(found --id 1 --label 2 --score 3 p.csv)" = "$(cat plain)" ]
    [ "$(ml-eval -q --id 1 --label label p.csv | ml get evaluation.columns | tr -d '\n ')" = '{"id":"1","label":"label"}' ]
    ml-eval -q p.csv | run ! ml get evaluation.columns
    tail -n +2 p.csv | sed 's/^[^,]*/"&"/' >bare.csv
    ml-eval -q --no-header --id 1 --label 2 --score 3 --slice 4 bare.csv >bare.json
    [ "$(ml get evaluation.data bare.json)" = "$(ml-eval -q p.csv | ml get evaluation.data)" ]
    [ "$(ml get 'evaluation.slices.4=a.rows' bare.json)" = 100 ]
    # a name comes first
    printf '2,label,score\n1,0,.5\n0,1,.4\n1,1,.3\n' >f.csv
    [ "$(ml-eval -q --label 2 f.csv | ml get evaluation.classes.1)" = 2 ]
    run --separate-stderr ml-eval --label 4 f.csv
    fails 3 "no column '4'; the file has '2', 'label', 'score'"
    run --separate-stderr ml-eval --no-header bare.csv
    fails 3 "no column 'label' \(name it with --label\); the file has '1', '2', '3', '4'"
    # a range of scores: classes are what the columns are called, or counted from 0
    printf 'id,label,cat,dog\n1,cat,.7,.3\n2,dog,.4,.6\n3,dog,.8,.2\n' >m.csv
    [ "$(ml-eval -q --scores 3-4 m.csv | ml get evaluation.classes.dog)" = 2 ]
    tail -n +2 m.csv | sed 's/cat/0/; s/dog/1/' >m2.csv
    [ "$(ml-eval -q --task multiclass --no-header --id 1 --label 2 --scores 3-4 m2.csv | ml get evaluation.metrics.accuracy.value | cut -c1-5)" = 0.666 ]
    run --separate-stderr ml-eval --scores 3-5 m.csv
    fails 3 'no columns 3-5'
    # a comparison goes by the columns that were measured
    ml-eval -q --task multiclass --no-header --id 1 --label 2 --scores 3-4 m2.csv |
        ml-compare -q --current m2.csv --candidate m2.csv >c.json
    [ "$(ml get comparison.identical c.json)" = true ]
    run --separate-stderr ml-eval --no-header --id 1 --label 2 --scores 3-4 <(tail -n +2 m.csv)
    fails 3 "--scores 3-4: these columns are of the classes '0' and so on, none of 'cat'; by number and without a header classes are 0, 1 and so on"
    run --separate-stderr ml-eval --scores 3-4 <(sed '1s/,cat,/,s_cat,/' m.csv)
    fails 3 "the classes 's_cat' and so on, none of 'cat'; by number a column has to be called what its class is"
    sed 's/,cat,/,{cat},/; s/,dog,/,{dog},/; 1s/.*/id,label,cat,cow/' m.csv | tr -d '{}' >sets.csv
    run --separate-stderr ml-eval --task multilabel --scores 3-4 sets.csv
    fails 3 "the classes 'cat' and so on, none of 'dog'"
    run --separate-stderr ml-compare --no-header --id 1 --label 2 --score 3 --current bare.csv --candidate bare.csv
    [ "$(ml get comparison.identical <<<"$output")" = true ]
}

# the same rows as CSV and as numpy saves them
arrays() {
    /usr/bin/python3 - <<'P'
import csv
import numpy as np

rng = np.random.default_rng(3)
n = 4000
y = (rng.random(n) < .4).astype("i8")
columns = {
    "id": np.array([f"r{i}" for i in range(n)]), "label": y, "score": rng.random(n) ** rng.integers(1, 60, n),
    "weight": rng.random(n).astype("f4"), "region": rng.choice(["a", "b,c", 'd"e', "ção", "𝒳\nz", ""], n),
}
with open("p.csv", "w", newline="") as f:
    w = csv.writer(f)
    w.writerow(columns)
    w.writerows(zip(*[[repr(float(x)) if v.dtype.kind == "f" else x for x in v] for v in columns.values()]))
with open("p.jsonl", "w") as f:
    import json
    f.writelines(json.dumps({k: v[i].item() for k, v in columns.items()}) + "\n" for i in range(n))
np.savez("p.npz", **columns)
np.savez_compressed("compressed.npz", id=columns["id"].astype("S"), label=y.astype(">i2"), score=columns["score"].reshape(-1, 1).astype(">f8"),
                    weight=columns["weight"].astype(">f4"), region=columns["region"].astype(">U4"), extra=np.arange(3), note=np.array("x"))
for name, align in ("records.npy", False), ("aligned.npy", True):
    r = np.zeros(n, dtype=np.dtype([(k, "u1" if k == "label" else v.dtype) for k, v in columns.items()], align=align))
    for k, v in columns.items():
        r[k] = v
    np.save(name, r)
m = np.column_stack([np.arange(n), y, columns["score"], y[::-1]])
np.save("rows.npy", m)
np.save("columns.npy", np.asfortranarray(m))
np.savez("columns.npz", m=np.asfortranarray(m))
np.savez_compressed("columns-compressed.npz", m=np.asfortranarray(m))
with open("m.csv", "w") as f:
    f.write("id,label,score,prediction\n")
    f.writelines(f"{i},{int(b)},{s!r},{int(c)}\n" for i, (_, b, s, c) in enumerate(m.tolist()))
P
}

@test "numpy's arrays: records, members of an archive, rows and columns, any order of bytes" {
    arrays
    found --weight weight p.csv >plain
    gzip -k records.npy
    for f in p.jsonl p.npz compressed.npz records.npy aligned.npy records.npy.gz; do
        [ "$(found --weight weight $f)" = "$(cat plain)" ] || { echo "$f differs"; return 1; }
        [ "$(cat $f | found --weight weight -)" = "$(cat plain)" ] || { echo "$f through a pipe differs"; return 1; }
        [ "$(ml-eval -q $f | ml get evaluation.predictions.digest)" = "sha256:$(sha256sum <$f | cut -d' ' -f1)" ]
    done
    [ "$(ml-eval -q --id 1 --label 2 --score 3 --prediction 4 rows.npy | ml get evaluation.data)" = "$(ml-eval -q m.csv | ml get evaluation.data)" ]
    ml-eval -q m.csv | ml get evaluation.metrics >plain
    gzip -k columns.npy
    for f in rows.npy columns.npy columns.npy.gz; do
        [ "$(ml-eval -q --no-header --id 1 --label 2 --score 3 --prediction 4 $f | ml get evaluation.metrics)" = "$(cat plain)" ]
        [ "$(cat $f | ml-eval -q --id 1 --label 2 --score 3 --prediction 4 - | ml get evaluation.metrics)" = "$(cat plain)" ]
    done
    for f in columns.npz columns-compressed.npz; do
        [ "$(ml-eval -q --id m0 --label m1 --score m2 --prediction m3 $f | ml get evaluation.metrics)" = "$(cat plain)" ]
    done
    # an array of another length is left out, and told when it is asked for
    run --separate-stderr ml-eval --weight extra compressed.npz
    fails 3 "the array 'extra' has 3 rows, not 4000"
    # two files, of which one is an array
    head -n 1 p.csv >none.csv
    [ "$(ml-eval -q none.csv records.npy | ml get evaluation.data)" = "$(ml-eval -q p.csv | ml get evaluation.data)" ]
    gzip -k p.csv
    for f in p.npz p.csv.gz records.npy; do
        [ "$(ml-compare -q --current p.csv --candidate $f | ml get comparison.identical)" = true ]
        [ "$(cat $f | ml-compare -q --current - --candidate p.csv | ml get comparison.identical)" = true ]
    done
    printf 'PAR1\x15\x04\x15\x10' >f
    run --separate-stderr ml-compare --current p.csv --candidate f
    fails 3 "'f': Parquet, which isn't read; convert it by"
}

@test "a matrix of scores is a column a class, named by the array of classes where there is one" {
    /usr/bin/python3 - <<'P'
import numpy as np

p = np.random.default_rng(1).dirichlet([1, 1, 1], 300)
names = np.array(["cat", "dog", "owl"])
np.savez("named.npz", label=names[p.argmax(1)], scores=p, classes=names)
np.savez("sklearn.npz", label=names[p.argmax(1)], scores=p, classes_=names)
np.savez("nameless.npz", label=names[p.argmax(1)], scores=p)
np.savez("counted.npz", label=p.argmax(1), scores=np.asfortranarray(p))
np.savez("other.npz", label=p.argmax(1) + 4, scores=p, classes=np.array([4., 5., 6.]))
np.save("whole.npy", np.column_stack([p.argmax(1), p]))
P
    for f in named sklearn counted other; do
        [ "$(ml-eval -q --task multiclass --scores scores $f.npz | ml get evaluation.metrics.accuracy.value)" = 1 ]
    done
    [ "$(ml-eval -q --scores scores named.npz | ml get evaluation.classes.owl)" -gt 50 ]
    [ "$(ml-eval -q --task multiclass --scores scores other.npz | ml get evaluation.classes.6)" -gt 50 ]
    [ "$(ml-eval -q --task multiclass --label 1 --scores 2-4 whole.npy | ml get evaluation.metrics.accuracy.value)" = 1 ]
    run --separate-stderr ml-eval --scores scores nameless.npz
    fails 3 "scikit-learn's classes_, beside 'scores'"
}

@test "scores of a row of JSON Lines: a column a class, an object, or a list" {
    /usr/bin/python3 - <<'P'
import json, random

random.seed(3)
names, rows = ["ant", "bee", ".cat"], 40000 # more than a block
out = {k: open(k, "w") for k in ("flat.csv", "object.jsonl", "nested.jsonl", "list.jsonl", "numbers.csv", "first.jsonl", "second.jsonl")}
out["flat.csv"].write("id,label,p.ant,p.bee,p..cat\n")
out["numbers.csv"].write("id,label,p0,p1,p2\n")
for i in range(rows):
    y, x = random.randrange(3), [random.random() for _ in names]
    p = [v / sum(x) for v in x]
    text = ",".join(map(repr, p))
    out["flat.csv"].write(f"{i},{names[y]},{text}\n")
    out["numbers.csv"].write(f"{i},{y},{text}\n")
    row = lambda label, p: json.dumps({"id": i, "note": ["a", {"p": [2]}], "p": p, "label": label}) + "\n"
    out["object.jsonl"].write(row(names[y], dict(zip(names, p))))
    out["nested.jsonl"].write(json.dumps({"id": i, "label": names[y], "model": {"p": dict(zip(names[::-1], p[::-1]))}}) + "\n")
    out["list.jsonl"].write(row(y, p))
    out["first.jsonl" if i < 20000 else "second.jsonl"].write(row(y, p))
P
    ml-eval -q --scores p. flat.csv | ml get evaluation.metrics >flat
    ml-eval -q --scores p object.jsonl | ml get evaluation.metrics | cmp - flat
    ml-eval -q --scores model.p nested.jsonl | ml get evaluation.metrics | cmp - flat
    ml-eval -q --task multiclass --scores p numbers.csv >numbers.json
    ml get evaluation.metrics numbers.json >numbers
    ml-eval -q --task multiclass --scores p - <list.jsonl >list.json
    ml get evaluation.metrics list.json | cmp - numbers
    ml-eval -q --task multiclass --scores p first.jsonl second.jsonl | ml get evaluation.metrics | cmp - numbers
    [ "$(ml get evaluation.data list.json)" = "$(ml get evaluation.data numbers.json)" ]
    ml-compare -q --task multiclass --scores p --current numbers.csv --candidate list.jsonl </dev/null >same.json
    [ "$(ml get comparison.identical same.json)" = true ]
    printf '{"y":[0,1,1],"said":[1,1,0],"s":[0.6,0.7,0.2]}\n{"y":[1,0,1],"said":[1,0,0],"s":[0.6,0.3,0.2]}\n' >sets.jsonl
    [ "$(ml-eval -q --labels y --predictions said --scores s sets.jsonl | ml get evaluation.metrics.jaccard_samples.n)" = 2 ]
    # the current model's file may lack scores where it has predictions
    printf '{"id":0,"label":0,"prediction":1,"p":[0.5,"x"]}\n{"id":1,"label":1,"prediction":1,"p":[0.5,"y"]}\n' >lacks.jsonl
    printf 'id,label,p0,p1\n0,0,.5,.5\n1,1,.2,.8\n' >has.csv
    ml-compare -q --task multiclass --scores p --current lacks.jsonl --candidate has.csv </dev/null | ml get comparison.metrics.accuracy.n
    # what may be meant is told
    run --separate-stderr ml-eval list.jsonl
    fails 3 "neither a column 'prediction' nor 'score' \(name one with --prediction, --score or --scores PREFIX; is --scores p meant\?\); the file has 'id', 'note', 'p', 'label'"
    run --separate-stderr ml-eval nested.jsonl
    fails 3 "is --scores model.p meant\?"
    run --separate-stderr ml-eval flat.csv
    fails 3 'or --scores PREFIX\); the file has'
    # what is no such list
    printf '{"label":0,"p":[0.5,0.5]}\n{"label":1,"p":[0.2,0.2,0.6]}\n' >bad.jsonl
    run --separate-stderr ml-eval --scores p bad.jsonl
    fails 3 "line 2, byte 28: a list of 3, but the first row's has 2"
    printf '{"label":0,"p":[0.5,0.5]}\n{"label":1,"p":[0.2,"0.8"]}\n' >bad.jsonl
    run --separate-stderr ml-eval --scores p bad.jsonl
    fails 3 'line 2, byte 21: a number expected'
    printf '{"label":0,"p":[0.5,[0.5]]}\n' >bad.jsonl
    run --separate-stderr ml-eval --scores p bad.jsonl
    fails 3 'line 1, byte 21: a number expected'
    printf '{"label":0,"p":[0.5,0.5]}\n{"label":1,"p":null}\n' >bad.jsonl
    run --separate-stderr ml-eval --scores p bad.jsonl
    fails 3 "line 2, column 'p0': the number is missing; each row has to hold every class"
    # classes that the first row lacks, or has alone, whatever the row's order says: never left out in silence
    local cat='{"label":"cat","p":{"cat":0.6,"dog":0.4}}' bird='{"label":"dog","p":{"cat":0.1,"dog":0.2,"bird":0.7}}'
    printf '%s\n' "$cat" "$bird" >bad.jsonl
    run --separate-stderr ml-eval --task multiclass --scores p bad.jsonl
    fails 3 "line 2, byte 51: 'p.bird', which the first row lacks; write every class in every row"
    run --separate-stderr ml-eval --task multiclass --scores p. bad.jsonl
    fails 3 "'p.bird', which the first row lacks"
    printf '%s\n' "$bird" "$cat" >bad.jsonl
    run --separate-stderr ml-eval --task multiclass --scores p bad.jsonl
    fails 3 "line 2, column 'p.bird': the number is missing; each row has to hold every class"
    (yes "$cat" | head -n 40000; echo "$bird") >bad.jsonl
    run --separate-stderr ml-eval --task multiclass --scores p bad.jsonl
    fails 3 "line 40001, byte 51: 'p.bird', which the first row lacks"
    echo "$cat" >first.jsonl
    echo "$bird" >second.jsonl
    run --separate-stderr ml-eval --task multiclass --scores p first.jsonl second.jsonl
    fails 3 "'second.jsonl': line 1, byte 51: 'p.bird', which the first row lacks"
    printf '{"label":"a","pa":1,"pb":0,"b":1}\n{"label":"b","pa":0,"pb":0.3,"pc":0.7,"c":1}\n' >bad.jsonl
    run --separate-stderr ml-eval --task multiclass --scores p bad.jsonl
    fails 3 "'pc', which the first row lacks"
    printf 'label,p0,p1\n0,0.5,0.5\n' >first.csv
    printf '{"label":0,"p":[0.5,0.5]}\n' >second.jsonl
    run --separate-stderr ml-eval --task multiclass --scores p first.csv second.jsonl
    fails 3 "'second.jsonl': line 1, byte 25: a list 'p', but the first row has a column for each class"
    local one='{"label":{"a":1},"prediction":{"a":1}}' two='{"label":{"a":0,"b":1},"prediction":{"a":0}}'
    printf '%s\n' "$one" "$two" >bad.jsonl
    run --separate-stderr ml-eval --task multilabel --labels label --predictions prediction bad.jsonl
    fails 3 "line 2, byte 22: 'label.b', which the first row lacks; write every class in every row"
    printf '%s\n' "$two" "$one" >bad.jsonl
    run --separate-stderr ml-eval --task multilabel --labels label --predictions prediction bad.jsonl
    fails 3 "line 2, column 'label.b': a column of one class holds 1 where a row has it, else 0"
    sed 's/"label": 2/"label": "two"/' list.jsonl >bad.jsonl
    run --separate-stderr ml-eval --scores p bad.jsonl
    fails 3 "labels such as 'two' need that"
}

@test "arrays that can't be read, and what isn't whole" {
    arrays
    refuses() {
        run --separate-stderr ml-eval "${@:2}"
        fails 3 "$1"
    }
    make() { /usr/bin/python3 -c "import numpy as np, io, zipfile; $1"; }
    make "np.save('f.npy', np.array([{}, {}]), allow_pickle=True)"
    refuses "'f.npy': the array: has Python objects \(a pickle\), which aren't read; save it with .astype\(str\)" f.npy
    make "np.savez('f.npz', label=np.zeros(3), name=np.array(['a', 'b', None]))"
    refuses "'f.npz': array 'name': has Python objects" f.npz
    make "np.save('f.npy', np.zeros(3, 'c16'))"
    refuses 'complex numbers' f.npy
    make "np.save('f.npy', np.zeros(3, [('label', 'i4'), ('at', 'M8[s]')]))"
    refuses "dates or times in 'at', which aren't read; save it with .astype\(str\)" f.npy
    make "np.save('f.npy', np.zeros((3, 4, 5)))"
    refuses 'has 3 dimensions' f.npy
    make "np.save('f.npy', np.zeros((0, 3)))"
    refuses "no column 'label'" f.npy
    make "np.savez('f.npz', label=np.zeros(0), prediction=np.zeros(0))"
    refuses 'the header is there, but no row' f.npz
    make "np.savez('f.npz', label=[0, 1], score=[.5, float('nan')])"
    refuses "line 3, column 'score': 'nan' is not a finite number" f.npz
    make "np.savez('f.npz', label=np.array([b'a', b'\xff']), prediction=['a', 'b'])"
    refuses 'line 3, byte 1: invalid UTF-8' f.npz
    make "np.savez('f.npz', label=np.frombuffer(np.array([97, 0x110000], 'u4').tobytes(), 'U1').copy(), prediction=['a', 'b'])" || true
    for n in 5 11 50 127 128 5000; do
        head -c $n records.npy >cut
        refuses "'cut': (the array|the values end too early|malformed|line 1)" cut
        head -c $n columns.npy >cut
        refuses "'cut': (the array|the values end too early|malformed|line 1)" cut --label 1 --score 2
        head -c $n p.npz >cut
        refuses "'cut': malformed ZIP archive; is it cut off" cut
    done
    cat records.npy records.npy >two
    refuses "'two': bytes behind the array" two
    { head -c 20000 compressed.npz; head -c 100 /dev/zero; tail -c +20101 compressed.npz; } >bad
    refuses "'bad': (malformed|array|'.*' in the archive is damaged|the values end)" bad
    { head -c 200000 p.npz; printf x; tail -c +200002 p.npz; } >bad
    refuses "'bad': ('.*' in the archive is damaged|line)" bad
    make "zipfile.ZipFile('f.zip', 'w').writestr('a.csv', 'label,prediction')"
    refuses "'f.zip': a ZIP archive without numpy's arrays; unzip it first" f.zip
    make "zipfile.ZipFile('f.xlsx', 'w').writestr('[Content_Types].xml', '<x/>')"
    refuses "'f.xlsx': a file of Excel, which isn't read" f.xlsx
    rm -rf tmp && mkdir tmp
    cat p.npz | TMPDIR=$PWD/tmp ml-eval -q - >card.json
    [ -z "$(ls -A tmp)" ]
    run --separate-stderr env TMPDIR=/nowhere ml-eval - < <(cat p.npz)
    fails 3 'cannot make a temporary file'
}

@test "every type of number and text that numpy has, as Python writes it" {
    /usr/bin/python3 - <<'P'
import json
import subprocess

import numpy as np


def written(x):
    """A value as the shortest text that is read back the same."""
    if isinstance(x, float):
        return next(s for s in (f"{x:.{digits}g}" for digits in (15, 16, 17)) if float(s) == x)
    return x.decode() if isinstance(x, bytes) else str(x).lower() if isinstance(x, bool) else str(x)


def evaluated(*options):
    return json.loads(subprocess.run(["ml-eval", "-q", *options], stdout=subprocess.PIPE, check=True).stdout)["evaluation"]


bits = np.random.default_rng(11).integers(0, 2**63, 3000, dtype="u8") * 2 + np.arange(3000, dtype="u8") % 2
cases = [np.array([b"a", b"bc\xc3\xa7", b"d"]), np.array([True, False])]
for order in "<>":
    for kind in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"):
        v = bits.astype("u" + kind[1:]).view(kind)
        cases.append(v[np.isfinite(v)].astype(order + kind))
    cases.append(np.array([chr(c) + "x" for c in range(0x20, 0x2000, 37)] + ["𝒳"]).astype(order + "U5"))
for v in cases:
    # as texts: ids
    ids = np.unique(v)
    label = np.where(np.arange(len(ids)) % 2, "a", "b")
    np.savez("f.npz", id=ids.astype(v.dtype), label=label, prediction=np.full(len(ids), "a"))
    with open("f.jsonl", "w") as f:
        for x, y in zip(ids.tolist(), label.tolist()):
            f.write(json.dumps({"id": written(x), "label": y, "prediction": "a"}) + "\n")
    assert evaluated("f.npz")["data"] == evaluated("f.jsonl")["data"], v.dtype
    # as numbers: how far they are from 0
    if v.dtype.kind in "iuf" and v.dtype.itemsize < 8:
        np.savez("f.npz", label=v, prediction=np.zeros(len(v)))
        got, want = evaluated("--task", "regression", "f.npz")["metrics"]["mae"]["value"], np.abs(v.astype("f8")).mean()
        assert abs(got - want) <= 1e-12 * want, (v.dtype, got, want)
P
}
