# ml-eval: what it refuses, each with place and exit code, and nothing on stdout.
bats_require_minimum_version 1.5.0
load helper

# refuses CODE 'pattern' [option ...] <file
refuses() {
    local code=$1 pattern=$2
    shift 2
    cat >f.csv
    run --separate-stderr ml-eval "$@" f.csv
    fails "$code" "$pattern" || return 1
    [ -z "$output" ] || { echo "wrote: $output"; return 1; }
}

@test "an empty file, and a header only" {
    printf '' | refuses 3 "'f.csv': the file is empty"
    printf '\n\n' | refuses 3 'the file is empty'
    printf 'label,prediction\n' | refuses 3 'the header is there, but no row'
    printf '{}\n' | refuses 3 "no column 'label'"
    run --separate-stderr ml-eval nowhere.csv
    fails 3 "'nowhere.csv': cannot open: No such file"
    mkdir void
    run --separate-stderr ml-eval void
    fails 3 "'void': this directory holds no files"
}

@test "missing columns are named beside those that are there" {
    printf 'id|label|prediction\n1|a|a\n' | refuses 3 "the file has 'id\|label\|prediction' alone: columns are parted by commas, semicolons or tabs"
    printf 'label,score\nno,.1\nyes,.9\n' | refuses 2 "--positive 'YES' is none of the classes; they are 'no' and 'yes'$" --positive YES
    printf 'y0,y1,p0,p1\n1,0,.9,.1\n' | refuses 3 "no column 'label' .*or columns of 0 and 1 with --labels" --task multilabel
    printf 'id,y,prediction\n1,a,a\n' | refuses 3 "no column 'label' .*the file has 'id', 'y', 'prediction'"
    printf 'r0,1,0.49\nr1,0,0.02\n' | refuses 3 "the file has 'r0', '1', '0.49'; where the first line is a row, --no-header says so"
    printf 'id,label\n1,a\n' | refuses 3 "neither a column 'prediction' nor 'score'"
    for o in id label prediction score weight group slice; do
        printf 'id,label,prediction\n1,a,a\n' | refuses 3 "line 1: no column 'zz'" --$o zz
    done
    printf 'id,label,prediction\n1,a,a\n' | refuses 3 "no column starts with 'zz'" --scores zz
    for o in scores labels predictions; do
        printf 'id,label,prediction,proba\n1,1,1,.5\n' | refuses 3 "line 1: 'proba' is one column, .*--score," --$o proba
    done
    printf 'id,label,prediction\n1,a,a\n' | refuses 3 "no column ''; the file has" --id ''
    printf ',label,prediction\nr,a,a\nr,b,b\n' | refuses 3 "'r'" --id '' # it is there, and twice in it
    printf 'label,prediction,label\na,a,a\n' | refuses 3 "line 1: two columns are called 'label'"
}

@test "scores that are nan, infinite, missing or no number" {
    for v in nan NaN inf -Inf Infinity; do
        printf 'label,score\n0,0.5\n1,%s\n' "$v" | refuses 3 "line 3, column 'score': '$v' is not a finite number"
    done
    printf 'label,score\n0,0.5\n1,\n' | refuses 3 "line 3, column 'score': the number is missing"
    printf 'label,score\n0,0.5\n1,high\n' | refuses 3 "line 3, column 'score': 'high' is not a number"
    printf 'label,score\n0,0.5\n1,1e999\n' | refuses 3 "line 3, column 'score'"
    printf 'label,score\n0,0.5\n1,0x1p-1\n' | refuses 3 "line 3, column 'score'"
    printf '{"label":0,"score":0.5}\n{"label":1,"score":NaN}\n' | refuses 3 "line 2, column 'score': 'NaN' is not a finite number"
    printf '{"label":0,"score":0.5}\n{"label":1}\n' | refuses 3 "line 2, column 'score': the number is missing"
    printf 'label,p_a,p_b\na,0.5,0.5\nb,0.2,nan\n' | refuses 3 "line 3, column 'p_b'" --scores p_
}

@test "labels and predictions that are missing, or numbers that aren't finite" {
    printf 'label,prediction\na,a\n,b\n' | refuses 3 "line 3, column 'label': the label is missing; an empty set of labels needs --task multilabel"
    printf 'label,prediction\na,a\nb,\n' | refuses 3 "line 3, column 'prediction': the prediction is missing"
    printf 'label,prediction\n1.5,1\n2,nan\n3,4\n' | refuses 3 "line 3, column 'prediction': 'nan' is not a finite number" --task regression
    printf 'label,prediction\n1.5,1\n-inf,2\n' | refuses 3 "line 3, column 'label': '-inf' is not a finite number" --task regression
    printf 'label,prediction\n0,0\n1,1\nNA,1\n' | refuses 3 "line 4, column 'label': 'NA' is not a number, as all others are"
    printf 'label,prediction\n0,null\n1,1\n' | refuses 3 "line 2, column 'prediction': 'null' is not a number"
    # classes may be called so
    printf 'label,prediction\n0,none\nnone,none\n1,1\n' >none.csv
    ml-eval -q --task multiclass none.csv -o none.json
    printf 'label,prediction\nDE,NA\nNA,NA\n' >none.csv
    ml-eval -q none.csv -o none.json
    printf 'label,prediction\na,x\nb,y\n' | refuses 3 'no prediction is among the labels'
    printf 'label,prediction\n0,0.7\n1,0.4\n' | refuses 2 'if they are scores say --score'
}

@test "labels that are lists aren't classes unasked" {
    printf '{"label":["a"],"prediction":["a"]}\n{"label":[],"prediction":["a"]}\n' >sets.jsonl
    refuses 2 "the labels are lists: say --task multilabel" <sets.jsonl
    ml-eval -q --task multilabel sets.jsonl -o sets.json
    ml-eval -q --task multiclass sets.jsonl -o sets.json
    printf '{"label":"[","prediction":"]"}\n{"label":"]","prediction":"]"}\n' >brackets.jsonl
    ml-eval -q brackets.jsonl -o sets.json
}

@test "one class only: what needs two is null with a reason" {
    printf 'label,score\n1,0.5\n1,0.2\n1,0.9\n' >one.csv
    ml-eval -q one.csv >one.json
    [ "$(ml get evaluation.metrics.roc_auc.value one.json)" = null ]
    [ -n "$(ml get evaluation.metrics.roc_auc.reason one.json)" ]
    [ "$(ml get evaluation.metrics.accuracy.value one.json | cut -c1-6)" = 0.6666 ]
    printf 'label,prediction\n0,0\n0,1\n0,0\n' >none.csv
    ml-eval -q none.csv >none.json
    [ "$(ml get evaluation.metrics.recall.value none.json)" = null ]
    [ "$(ml get evaluation.positive none.json)" = 1 ]
    printf 'label,prediction\na,a\na,a\n' >text.csv
    ml-eval -q text.csv >text.json
    [ "$(ml get evaluation.metrics.accuracy.value text.json)" = 1 ]
}

@test "duplicate and missing ids, also far apart" {
    printf 'id,label,prediction\nx,a,a\ny,b,b\nx,a,a\n' | refuses 3 "line 4: the id 'x' stands twice \(rows 1 and 3\)"
    { echo id,label,prediction; seq 1 3000 | sed 's/$/,a,a/'; echo '7,a,a'; } | refuses 3 "line 3002: the id '7' stands twice \(rows 7 and 3001\)"
    printf 'id,label,prediction\n,a,a\n' | refuses 3 "line 2, column 'id': the id is missing"
    # ids are texts and aren't trimmed
    printf 'id,label,prediction\nx,a,a\n x,b,b\n01,a,a\n1,b,b\n' >f.csv
    ml-eval -q f.csv >f.json
}

@test "invalid UTF-8 and NUL" {
    printf 'label,prediction\na,a\nb\xe9,b\n' | refuses 3 "line 3, byte 2: invalid UTF-8"
    printf 'label,prediction\na,a\nb\x00,b\n' | refuses 3 "line 3, byte 2: a NUL byte"
    printf '{"label":"a","prediction":"a\xc0\x80"}\n' | refuses 3 "line 1, byte 29: invalid UTF-8"
    printf '\xfel\x00a\x00' | refuses 3 "line 1, byte 1: invalid UTF-8"
    printf '\xff\xfel\x00a\x00' | refuses 3 "text in UTF-16, which isn't read; convert it by iconv"
    printf 'l\x00a\x00b\x00' | refuses 3 "line 1, byte 2: a NUL byte; is this a text file in UTF-8"
    printf 'label,prediction\ra,a\rb,b\r' | refuses 3 "lines end with a carriage return alone; convert the file with tr"
}

@test "rows that don't fit, quotes left open, lines that are no objects" {
    printf 'label,prediction\na,a\nb,b,c\n' | refuses 3 'line 3: 3 fields, but the header has 2'
    printf 'label,prediction\na,a\n"b,b\n' | refuses 3 "line 3, field 1: the quote isn't closed"
    printf 'label,prediction\n"a"x,a\n' | refuses 3 'line 2, field 1: text behind the closing quote'
    printf '{"label":"a","prediction":"a"}\n{"label":"b",\n' | refuses 3 "line 2, byte 14: the object doesn't end on its line"
    printf '{\n "label": "a"}\n' | refuses 3 "JSON Lines holds one object a line"
    printf '[{"label":"a"}]\n' | refuses 3 'a JSON array; write one object a line'
}

@test "quoted newlines and huge fields are data" {
    { printf 'id,label,prediction\n"two\nlines","a,\n""b""","a,\n""b"""\n'; printf '"'; head -c 3000000 /dev/zero | tr '\0' x; printf '\ny",c,d\n'; } >f.csv
    ml-eval -q f.csv >f.json
    [ "$(ml get evaluation.metrics.accuracy.value f.json)" = 0.5 ]
    [ "$(ml get evaluation.rows f.json)" = 2 ]
    { printf 'id,label,prediction\n1,a,a\n"'; head -c 17000000 /dev/zero | tr '\0' x; } | refuses 3 'line 3: the row is longer than 16 MiB; is a quote left open'
}

@test "options that mean nothing" {
    printf 'label,score,prediction\nspam,0.5,spam\nham,0.1,ham\n' >s.csv
    for o in '--task ranking' '--positive eggs' '--confidence 1' '--confidence 0' '--seed -1' '--score score' '--task binary' '--threshold x' \
        '--task multiclass --positive spam' '--score score --scores p'; do
        # shellcheck disable=SC2086
        run --separate-stderr ml-eval $o s.csv
        fails 2 . || { echo "$o"; return 1; }
    done
    ml-eval -q s.csv >s.json # a column that happens to be called score does no harm
    printf 'label,score\nspam,0.5\nham,0.1\n' | refuses 2 'say which with --positive'
    # one label of many is another: it is found, and no option is advised that is then refused
    printf 'label,score\n1,0.5\nfoo,0.2\n0,0.1\n' | refuses 2 "one score is for two classes, but the labels hold 3 classes; the rarest is 'foo', first on line 3 of 'f.csv'; if that is right give all scores with --scores"
    printf 'label,score\n1,0.5\nfoo,0.2\n0,0.1\n' | refuses 2 "--positive is for two classes, but the labels hold 3 classes; the rarest is 'foo', first on line 3 of 'f.csv'$" --positive 1
    printf 'label,prediction\nspam,spam\nspam,spam\nham,ham\nham,ham\nham,\xc3\xa4\n' | refuses 2 "--task binary is for two classes, but the labels and predictions hold 3 classes; the rarest is 'ä', first on line 6" --task binary
    printf 'label,score\n1,7\n0,-2\n' | refuses 2 '--threshold is needed'
    printf 'label,score\n1,7\n0,-2\n' >out.csv
    ml-eval -q --threshold 1 out.csv >out.json
    [ "$(ml get evaluation.metrics.log_loss.value out.json)" = null ]
    [ "$(ml get evaluation.metrics.roc_auc.value out.json)" = 1 ]
    run --separate-stderr ml-eval --card - -
    fails 2 'not both'
    run --separate-stderr ml-eval --card - s.csv
    fails 3 'no card on standard input'
    echo '{"schema":"mlci.card/2"}' >two.json
    run --separate-stderr ml-eval --card two.json s.csv
    fails 3 "unknown schema 'mlci.card/2'"
}

@test "labels and predictions beyond a double are no classes" {
    printf 'label,prediction\n1,1\n1e400,0\n0,0\n' | refuses 3 "line 3, column 'label': '1e400' is not a finite number"
    printf 'label,prediction\n1e999,1\n2,3\n' | refuses 3 "line 2, column 'label': '1e999'" --task regression
    printf 'label,prediction\n1,1\n0,-1e999\n0,0\n' | refuses 3 "line 3, column 'prediction': '-1e999' is not a finite number"
}

@test "two columns of scores for one class" {
    printf 'label,p.1,p.1.0,p.0\n1,.9,.1,.1\n0,.2,.8,.8\n' | refuses 3 "the columns 'p.1' and 'p.1.0' are of the same class" --scores p.
    printf 'label,1,1.0,0\n1,.9,.1,.1\n0,.2,.8,.8\n' | refuses 3 "the columns '1' and '1.0' are of the same class" --scores 2-4
}

@test "a class without scores is named as its column would be, beside those that are there" {
    printf 'label,p_cat,p_dog\ncat,.9,.1\nbird,.2,.8\n' |
        refuses 3 "no column 'p_bird' with the scores of that class; there are 'p_cat', 'p_dog'" --scores p_
    printf '{"label":"%s","p":{"cat":%s,"dog":0.5}}\n' cat 0.5 bird 0.5 |
        refuses 3 "no column 'p.bird' with the scores of that class; there are 'p.cat', 'p.dog'" --scores p
    printf '{"label":"%s","p":{"bird":0.1,"cat":0.4,"dog":0.5}}\n' cat bird >current.jsonl
    printf '{"label":"%s","p":{"cat":0.5,"dog":0.5}}\n' cat bird >candidate.jsonl
    run --separate-stderr ml-compare --scores p --current current.jsonl --candidate candidate.jsonl </dev/null
    fails 3 "'candidate.jsonl': no column 'p.bird' with the scores of that class"
}

@test "more different numbers than can be classes beside texts" {
    awk 'BEGIN { print "label,prediction"; for (i = 0; i < 70000; i++) print (i % 2 ? "a" : "b") "," i + .5 }' |
        refuses 3 'the predictions are more than 65536 different numbers, but other classes are texts'
    awk 'BEGIN { print "label,prediction"; for (i = 0; i < 70000; i++) print i + .5 "," (i % 2 ? "a" : "b") }' |
        refuses 3 'the labels are more than 65536 different numbers, but other classes are texts'
}

@test "nothing half-written: a failing run leaves the old card" {
    printf 'label,prediction\na,a\nb,b\n' >p.csv
    ml-eval -q -o card.json p.csv
    before=$(sha256sum card.json)
    printf 'label,prediction\na,a\nb\n' >p.csv
    run --separate-stderr ml-eval -o card.json p.csv
    fails 3 'line 3'
    [ "$(sha256sum card.json)" = "$before" ]
    [ "$(find . -name '*.tmp' | wc -l)" -eq 0 ]
}

@test "a decimal comma is named" {
    printf 'id;label;score\n1;0;0,5\n2;1;0,7\n' | refuses 3 "line 2, column 'score': '0,5' is not a number; numbers have a decimal point, not a comma"
    printf 'label;prediction\n1;0,5\n2,5;2\n' | refuses 3 "line 3, column 'label': '2,5' has a decimal comma"
    printf 'label;prediction\n1;0,5\n2;2\n' | refuses 3 "line 2, column 'prediction': '0,5' has a decimal comma" --task regression
    printf 'label;prediction\n1;0,5\n2,5;x\n' | refuses 3 "line 3, column 'label': '2,5' has a decimal comma"
    printf 'label,prediction\n"0,5",0\n1,1\n' | refuses 3 "the label '0,5' is not a number, as regression needs it; numbers have a decimal point, not a comma" --task regression
    printf 'label,prediction\n0,5,0,7\n' | refuses 3 'line 2: 4 fields, but the header has 2'
    # classes may be called so
    printf 'label;prediction\n1,5;1,5\n2,5;1,5\n' >f.csv
    ml-eval -q --task multiclass f.csv >f.json
    printf 'label;prediction\n1,5;1,5\nnone;none\n' >f.csv
    ml-eval -q f.csv >f.json
    printf 'label\tprediction\n1,5\t1,5\n2,5\t1,5\n' >f.csv
    ml-eval -q f.csv >f.json
}

@test "a locale with a decimal comma changes nothing" {
    printf 'id,label,score\n1,0,0.5\n2,1,.75\n3,1,1.5e-1\n' >f.csv
    ml-eval -q f.csv >plain.json
    localedef -i de_DE -f UTF-8 "$PWD/de_DE.UTF-8"
    LOCPATH=$PWD LC_ALL=de_DE.UTF-8 locale decimal_point | grep -qx ','
    LOCPATH=$PWD LC_ALL=de_DE.UTF-8 LANG=de_DE.UTF-8 ml-eval -q f.csv >german.json
    cmp plain.json german.json
}

@test "columns of numbers and texts" {
    printf 'label,prediction\n1,1\n2,1\nx,x\n' >f.csv
    [ "$(ml-eval -q f.csv | ml get evaluation.classes.x)" = 1 ]
    printf 'label,prediction\n1,1\n2,x\n' | refuses 3 "line 3: the prediction 'x' is not a number, as regression needs it" --task regression
    printf 'label,prediction\n1,1\n2,1\n3,3\n' | refuses 2 'say --task multiclass or --task regression'
    { echo label,score; seq 1 20000 | sed 's/.*/1,0.5/'; echo 0,high; } | refuses 3 "line 20002, column 'score': 'high' is not a number"
    # integers beyond a double are names, which stay apart
    printf 'id,label,prediction\n1,9007199254740993,9007199254740993\n2,9007199254740992,9007199254740993\n' >f.csv
    [ "$(ml-eval -q f.csv | ml get evaluation.metrics.accuracy.value)" = 0.5 ]
    printf 'label,score\n1,123456789012345678901234567890\n0,1\n' >f.csv
    [ "$(ml-eval -q --threshold 5 f.csv | ml get evaluation.metrics.accuracy.value)" = 1 ]
}

@test "a line without end costs no more memory than a row may have" {
    endless() { { printf '%s' "$1"; head -c 1000000000 /dev/zero | tr '\0' x 2>/dev/null || true; }; }
    for start in $'label,prediction\n' '' '{"label":"' $'label,prediction\n"'; do
        run --separate-stderr bash -c 'ulimit -v 300000; ml-eval -' < <(endless "$start")
        fails 3 'the row is longer than 16 MiB'
        run --separate-stderr bash -c 'ulimit -v 300000; ml-compare --current - --candidate /dev/null' < <(endless "$start")
        fails 3 .
    done
}

@test "a million columns, and as many as there may be" {
    seq 1 1000000 | tr '\n' , | refuses 3 'line 1: more than 16384 columns'
    { printf '{"a":0'; seq -f ',"c%.0f":1' 1 1000000 | tr -d '\n'; echo '}'; } | refuses 3 'line 1: more than 16384 columns'
    { echo "label,prediction$(seq 1 16382 | sed 's/^/,c/' | tr -d '\n')"; echo "a,a$(yes ,1 | head -n 16382 | tr -d '\n')"; } >f.csv
    [ "$(ml-eval -q f.csv | ml get evaluation.rows)" = 1 ]
}

@test "a million classes" {
    seq 0 999999 | awk 'BEGIN { print "label,prediction" } { print "c" $1 ",c" ($1 % 4 ? $1 : $1 / 4) }' >f.csv
    run --separate-stderr bash -c 'ulimit -v 1500000; ml-eval -q -o f.json f.csv'
    [ "$status" -eq 0 ]
    # a quarter is wrong but for class 0
    [ "$(ml get evaluation.metrics.accuracy.value f.json)" = 0.750001 ]
    [ "$(ml get evaluation.metrics.balanced_accuracy.value f.json | cut -c1-8)" = 0.750001 ]
}

@test "files that aren't files of rows" {
    run --separate-stderr ml-eval /dev/null
    fails 3 "'/dev/null': the file is empty"
    run --separate-stderr ml-eval /
    fails 3 "'/': '[a-z.]*' in it is a directory, too"
    head -c 3000 /dev/zero | refuses 3 'line 1, byte 1: a NUL byte'
    printf '\x00\x01\xfe\xff\x80' | refuses 3 'line 1, byte 1: a NUL byte'
    printf 'label,prediction\na,a\n\x80\x81,a\n' | refuses 3 'line 3, byte 1: invalid UTF-8'
    printf ',,\n1,2,3\n' | refuses 3 "no column 'label'"
    printf 'a,a\n' | refuses 3 "two columns are called 'a'$"
    printf '1,0,0\n2,1,1\n' | refuses 3 "two columns are called '0'; where the first line is a row, --no-header says so"
    if [ "$(id -u)" = 0 ]; then
        printf 'label,prediction\na,a\n' >closed.csv
        chmod 0 closed.csv
        chmod 755 .
        run --separate-stderr setpriv --reuid 65534 --clear-groups "$(command -v ml-eval)" "$PWD/closed.csv"
        fails 3 'cannot open'
    fi
}

@test "ids are bytes: blanks count, length doesn't" {
    printf 'id,label,prediction\nx,a,a\nx ,b,b\n"x\n",a,a\n' >f.csv
    [ "$(ml-eval -q f.csv | ml get evaluation.rows)" = 3 ]
    long=$(head -c 100000 /dev/zero | tr '\0' i)
    printf 'id,label,prediction\n%s,a,a\n%sj,b,b\n' "$long" "$long" >f.csv
    [ "$(ml-eval -q f.csv | ml get evaluation.rows)" = 2 ]
    printf 'id,label,prediction\n%s,a,a\n%s,b,b\n' "$long" "$long" | refuses 3 "line 3: the id 'iiii"
}
