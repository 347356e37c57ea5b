//! The workflows. In each, `D` is an empty folder to work in (on the disk, then in the
//! mount), `S` the sample tree, `R` a git repository, and `W` an empty folder of the disk. `drain`
//! waits until the service has everything, so that what follows meets
//! remote files.

/// A script with a name for its failures.
pub struct Workflow {
    /// Name of the workflow and of its folder.
    pub name: &'static str,
    /// For `bash -euo pipefail`.
    pub script: &'static str,
}

const fn workflow(name: &'static str, script: &'static str) -> Workflow {
    Workflow { name, script }
}

/// What the scripts run, apart from coreutils.
pub const PROGRAMS: &[&str] = &[
    "bash", "cmp", "diff", "df", "du", "getfattr", "gio", "git", "python3", "rsync", "sed",
    "setfattr", "sqlite3", "tar", "timeout",
];

/// Makes the repository `R`.
pub const MAKE_REPOSITORY: &str = r#"
    git init -q -b main "$R"
    cd "$R"
    cp -a "$S/docs" "$S/src" .
    git add . && git commit -qm first
    echo second > second.txt
    git add . && git commit -qm second
"#;

/// Whole trees, in and out.
pub const TREES: &[Workflow] = &[
    workflow(
        "cp -a in and out",
        r#"
        cp -a "$S" "$D/tree"
        cp -a "$D/tree" "$W/at once"
        drain
        cp -a "$D/tree" "$W/later"
        for copy in "at once" later; do
            diff -r --no-dereference "$S" "$W/$copy"
            # Times and modes too.
            rsync -ain --delete "$S/" "$W/$copy/" > "$W/changes"
            cat "$W/changes" && test ! -s "$W/changes"
        done
        "#,
    ),
    workflow(
        "mv in, out and within",
        r#"
        mkdir "$D/a" "$D/b"
        cp -a "$S/docs" "$S/src" "$W/"
        mv "$W/docs" "$W/src" "$D/a/"
        test ! -e "$W/docs"
        mv "$D/a/docs" "$D/b/renamed"
        drain
        mv "$D/a/src/deep/er" "$D/b/"
        mv "$D/b/renamed/file 1.txt" "$D/a/other name.txt"
        mv "$D/b/renamed" "$D/a/again"
        mv "$D/a/again/file 13.txt" "$D/a/other name.txt"
        mv "$D/a/src/file 7.txt" "$W/out.bin"
        cmp "$W/out.bin" "$S/src/file 7.txt"
        drain
        mv "$D/b/er" "$W/er"
        diff -r --no-dereference "$S/src/deep/er" "$W/er"
        test ! -e "$D/b/er"
        "#,
    ),
    workflow(
        "rm -r",
        r#"
        cp -a "$S/docs" "$D/before upload"
        rm -r "$D/before upload"
        cp -a "$S/docs" "$S/photos" "$D/"
        drain
        rm -r "$D/docs"
        test ! -e "$D/docs"
        rm "$D/photos/"*.txt
        mkdir "$D/docs"
        "#,
    ),
    workflow(
        "rsync -a twice",
        r#"
        rsync -a "$S/" "$D/copy/"
        rsync -ai "$S/" "$D/copy/" > "$W/second"
        cat "$W/second" && test ! -s "$W/second"
        drain
        rsync -ai --delete "$S/" "$D/copy/" > "$W/third"
        cat "$W/third" && test ! -s "$W/third"
        cp -a "$S" "$W/changed"
        echo more >> "$W/changed/src/file 19.txt"
        rm "$W/changed/docs/file 1.txt"
        rsync -ai --delete "$W/changed/" "$D/copy/" | grep '[<>]f' > "$W/fourth"
        cat "$W/fourth" && test "$(wc -l < "$W/fourth")" = 1
        "#,
    ),
    workflow(
        "tar in and out",
        r#"
        tar -C "$S" --sort=name --owner=0 --group=0 --format=posix \
            --pax-option=exthdr.name=%d/%f,delete=atime,delete=ctime -cf "$D/tree.tar" .
        mkdir "$D/tree"
        tar -C "$D/tree" -xf "$D/tree.tar"
        drain
        mkdir "$W/out"
        tar -C "$D" -cf - tree | tar -C "$W/out" -xf -
        diff -r --no-dereference "$S" "$W/out/tree"
        tar -C "$D/tree" -df "$D/tree.tar"
        "#,
    ),
    workflow(
        "sha256sum -c",
        r#"
        (cd "$S" && find . -type f -print0 | sort -z | xargs -0 sha256sum) > "$D/SUMS"
        cp -a "$S" "$D/tree"
        (cd "$D/tree" && sha256sum --quiet -c ../SUMS)
        drain
        (cd "$D/tree" && sha256sum --quiet -c ../SUMS)
        "#,
    ),
];

/// Changes of single files, each to new ones and to files that the service already has.
pub const EDITS: &[Workflow] = &[
    workflow(
        "dd conv=notrunc",
        r#"
        cp "$S/src/file 7.txt" "$D/new"
        cp "$S/src/file 7.txt" "$D/remote"
        drain
        cp "$S/src/file 7.txt" "$D/new"
        for file in new remote; do
            dd if="$S/docs/file 1.txt" of="$D/$file" bs=1000 seek=1234 conv=notrunc status=none
            printf X | dd of="$D/$file" bs=1 seek=4999999 conv=notrunc status=none
            # Past the end.
            printf Y | dd of="$D/$file" bs=1 seek=5300000 conv=notrunc status=none
        done
        cmp "$D/new" "$D/remote"
        drain
        cmp "$D/new" "$D/remote"
        "#,
    ),
    workflow(
        "append",
        r#"
        echo one > "$D/log"
        echo two >> "$D/log"
        drain
        echo three >> "$D/log"
        drain
        for i in 1 2 3 4 5; do echo "$i" >> "$D/log"; done
        printf 'one\ntwo\nthree\n1\n2\n3\n4\n5\n' | cmp - "$D/log"
        "#,
    ),
    workflow(
        "truncate",
        r#"
        for file in shorter longer nothing; do cp "$S/src/file 43.txt" "$D/$file"; done
        drain
        truncate -s 1234 "$D/shorter"
        truncate -s 400000 "$D/longer"
        truncate -s 0 "$D/nothing"
        test "$(stat -c %s "$D/longer")" = 400000
        cmp -n 1234 "$D/shorter" "$S/src/file 43.txt"
        drain
        truncate -s 2000 "$D/shorter"
        truncate -s 10 "$D/nothing"
        "#,
    ),
    workflow(
        "sed -i",
        r#"
        seq 5000 > "$D/numbers"
        sed -i 's/7/seven/' "$D/numbers"
        drain
        sed -i '1d;s/3/three/g' "$D/numbers"
        test "$(head -1 "$D/numbers")" = 2
        test "$(ls "$D")" = numbers
        "#,
    ),
    workflow(
        "write a temporary file and rename it",
        r#"
        for round in 1 2 3 4; do
            cat "$S/docs/file 1.txt" > "$D/.report.tmp"
            echo "round $round" >> "$D/.report.tmp"
            mv "$D/.report.tmp" "$D/report"
            test "$round" != 2 || drain
        done
        test "$(ls -A "$D")" = report
        "#,
    ),
    workflow(
        "touch an empty file",
        r#"
        touch "$D/empty"
        test -f "$D/empty" && test ! -s "$D/empty"
        drain
        touch -d 2001-02-03T04:05:06.789Z "$D/empty"
        test "$(stat -c %.3Y "$D/empty")" = 981173106.789
        touch "$D/filled later"
        drain
        echo content > "$D/filled later"
        "#,
    ),
    workflow(
        "git clone and commit",
        r#"
        git clone -q "$R" "$D/work"
        cd "$D/work"
        echo third > third.txt
        git mv second.txt moved.txt
        git add .
        git commit -qm third
        drain
        git fsck --full --strict
        test -z "$(git status --porcelain)"
        test "$(git rev-list --count HEAD)" = 3
        git -C "$R" fetch -q "$D/work" main
        git checkout -q HEAD~2
        git checkout -q main
        git gc -q
        git fsck --full --strict
        "#,
    ),
    workflow(
        "an SQLite database",
        r#"
        sqlite3 "$D/data.db" "
            CREATE TABLE word(id INTEGER PRIMARY KEY, text TEXT);
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<2000)
                INSERT INTO word SELECT i, 'word ' || i FROM n;
            CREATE INDEX by_text ON word(text);"
        test "$(sqlite3 "$D/data.db" "SELECT count(*) FROM word")" = 2000
        drain
        sqlite3 "$D/data.db" "
            BEGIN; UPDATE word SET text = upper(text) WHERE id % 3 = 0; COMMIT;
            DELETE FROM word WHERE id > 1500;"
        test "$(sqlite3 "$D/data.db" "PRAGMA integrity_check")" = ok
        test "$(sqlite3 "$D/data.db" "SELECT text FROM word WHERE id = 300")" = "WORD 300"
        test "$(ls "$D")" = data.db
        "#,
    ),
    workflow(
        "a Python mmap edit",
        r#"
        cp "$S/src/file 7.txt" "$D/new"
        cp "$S/src/file 7.txt" "$D/remote"
        drain
        cp "$S/src/file 7.txt" "$D/new"
        for file in new remote; do
            python3 -c '
import mmap, sys
with open(sys.argv[1], "r+b") as file, mmap.mmap(file.fileno(), 0) as view:
    view[1_000_000:1_000_005] = b"HELLO"
    view[-3:] = b"end"
    view[0:4096] = bytes(reversed(view[0:4096]))
    view.flush()
    assert view.find(b"HELLO") == 1_000_000
' "$D/$file"
        done
        cmp "$D/new" "$D/remote"
        test "$(tail -c 3 "$D/new")" = end
        "#,
    ),
    workflow(
        "gio list, copy, info",
        r#"
        gio copy "$S/photos/file 4.txt" "$D/in.txt"
        gio copy -p "$S/src/file 7.txt" "$D/large.bin"
        drain
        gio copy "$D/large.bin" "$W/out.bin"
        cmp "$S/src/file 7.txt" "$W/out.bin"
        gio copy "$D/large.bin" "$D/twice.bin"
        test "$(gio list "$D" | sort | tr '\n' ' ')" = "in.txt large.bin twice.bin "
        gio info -a standard::size,standard::type "$D/large.bin" > "$W/info"
        grep -q "standard::size: 5242880" "$W/info"
        gio rename "$D/in.txt" renamed.txt
        gio mkdir "$D/folder"
        gio move "$D/renamed.txt" "$D/folder/moved.txt"
        gio remove "$D/twice.bin"
        "#,
    ),
    workflow(
        "du and extended attributes",
        r#"
        cp "$S/src/file 7.txt" "$D/large"
        setfattr -n user.note -v "to be kept" "$D/large"
        drain
        du -s --apparent-size -B1 "$D/large" | grep -q '^5242880'
        blocks=$(du -B1 "$D/large" | cut -f1)
        test "$blocks" -ge 5242880
        test "$(getfattr --only-values -n user.note "$D/large")" = "to be kept"
        "#,
    ),
];

/// What a folder of the disk has not.
pub const OURS: &str = r#"
    cd "$D"
    cp "$S/src/file 7.txt" large
    drain
    # Quota of the account, never nothing.
    total=$(df -B1 --output=size . | tail -1)
    used=$(df -B1 --output=used . | tail -1)
    test "$total" = 2000000000000
    df -T . | grep -q fuse.fichierfs
    test "$(stat -f -c %l .)" = 250
    getfattr --only-values -n user.1fichier.whirlpool large > "$W/digest"
    test "$(wc -c < "$W/digest")" = 128
    getfattr --only-values -n user.1fichier.url large | grep -q '/?[0-9a-z]*$'
    test "$(getfattr --only-values -n user.1fichier.state large)" = clean
    test "$(getfattr --only-values -n user.1fichier.id large | wc -c)" = 20
    # Neither way do they travel with what is copied, and no copy fails for them.
    test -z "$(getfattr -d -m - large)"
    mkdir "$W/plain"
    setfattr -n user.note -v "to be kept" large
    cp large "$W/plain/large"
    setfattr -n user.note -v "newer" "$W/plain/large"
    rsync -aX "$W/plain/" .
    test "$(getfattr --only-values -n user.note large)" = newer
    rsync -aX large "$W/back"
    test "$(getfattr -d -m - "$W/back" | grep -c '^user')" = 1
"#;
