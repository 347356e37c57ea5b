use super::*;

const NONE: Slack = Slack {
    notice: Duration::ZERO,
    jitter: Duration::ZERO,
};

fn secs(seconds: f64) -> SimTime {
    Duration::from_secs_f64(seconds)
}

fn ip(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

fn call(script: &'static str, listing: Option<Listing>) -> Call {
    Call {
        script,
        ip: ip(1),
        account: Some(0),
        listing,
    }
}

fn book(limits: Limits) -> LimitBook {
    LimitBook::new(limits.table(), secs(60.0), Prolong::Yes, NONE)
}

#[test]
fn the_fourth_call_in_a_second_locks_its_script_only() {
    let mut book = book(Limits::Documented);
    for at in [0.0, 0.1, 0.2] {
        assert_eq!(book.call(secs(at), call("file/mv", None)).0, Ok(()));
    }
    let (verdict, news) = book.call(secs(0.3), call("file/mv", None));
    assert_eq!(verdict, Err(Locked::Ip));
    assert!(matches!(news[..], [News::Exceeded(_)]));
    assert_eq!(book.call(secs(1.5), call("file/cp", None)).0, Ok(()));
    let (verdict, news) = book.call(secs(2.0), call("file/mv", None));
    assert_eq!(verdict, Err(Locked::Ip));
    assert_eq!(news, [News::DuringLock("file/mv")]);
}

#[test]
fn three_calls_a_second_for_ever_are_fine() {
    let mut book = book(Limits::Documented);
    for n in 0..100 {
        let at = secs(f64::from(n) / 3.0 + 0.001 * f64::from(n));
        assert_eq!(book.call(at, call("file/mv", None)).0, Ok(()), "call {n}");
    }
}

#[test]
fn a_call_during_a_lock_prolongs_it_unless_told_otherwise() {
    for (prolong, free_at_70) in [(Prolong::Yes, false), (Prolong::No, true)] {
        let mut book = LimitBook::new(LimitTable::documented(), secs(60.0), prolong, NONE);
        book.lock_for(secs(0.0), "file/mv", Subject::Ip(ip(1)), Locked::Ip, None);
        assert!(book.call(secs(30.0), call("file/mv", None)).0.is_err());
        let verdict = book.call(secs(70.0), call("file/mv", None)).0;
        assert_eq!(verdict.is_ok(), free_at_70, "{prolong:?}");
    }
}

#[test]
fn what_was_under_way_when_a_lock_began_is_no_offence() {
    let slack = Slack {
        notice: secs(1.0),
        jitter: Duration::ZERO,
    };
    let mut book = LimitBook::new(LimitTable::documented(), secs(60.0), Prolong::Yes, slack);
    book.lock_for(secs(0.0), "file/mv", Subject::Ip(ip(1)), Locked::Ip, None);
    let (verdict, news) = book.call(secs(0.5), call("file/mv", None));
    assert_eq!((verdict, news), (Err(Locked::Ip), vec![]));
}

#[test]
fn one_listing_of_a_folder_per_thirty_seconds() {
    let mut book = book(Limits::Documented);
    let list = |folder| call("folder/ls", Some(Listing::Folder(folder, "")));
    assert_eq!(book.call(secs(0.0), list(1)).0, Ok(()));
    assert_eq!(book.call(secs(1.0), list(2)).0, Ok(()));
    assert_eq!(book.call(secs(30.0), list(1)).0, Ok(()));
    assert_eq!(book.call(secs(31.0), list(2)).0, Ok(()));
    assert_eq!(book.call(secs(59.9), list(1)).0, Err(Locked::Ip));
}

#[test]
fn all_files_once_an_hour_and_the_account_once_in_five_minutes() {
    let mut book = book(Limits::Documented);
    let all = call("file/ls", Some(Listing::All));
    assert!(book.call(secs(0.0), all).0.is_ok());
    assert!(book.call(secs(3_599.0), all).0.is_err());
    let info = call("user/info", None);
    assert!(book.call(secs(0.0), info).0.is_ok());
    assert_eq!(book.call(secs(120.0), info).0, Err(Locked::User));
}

#[test]
fn observed_limits_tolerate_a_little() {
    let mut book = book(Limits::Observed);
    let mut tolerated = 0;
    for n in 0..30 {
        let listing = Some(Listing::Folder(n, ""));
        let (verdict, news) = book.call(secs(n as f64), call("folder/ls", listing));
        if verdict.is_err() {
            assert!(matches!(news[..], [News::Exceeded(_)]));
            assert_eq!(tolerated, 5);
            return;
        }
        tolerated += news.len();
    }
    panic!("one listing a second was never locked");
}

#[test]
fn the_eleventh_failing_call_bans_the_address_but_no_other() {
    let mut book = book(Limits::Documented);
    for n in 0..10 {
        assert_eq!(book.failed(secs(f64::from(n)), ip(1)), None);
    }
    assert_eq!(book.failed(secs(20.0), ip(1)), Some(News::Banned(10)));
    assert!(book.banned(secs(100.0), ip(1)));
    assert!(!book.banned(secs(100.0), ip(2)));
    assert!(!book.banned(secs(20.0 + 3_600.0), ip(1)));
    assert_eq!(
        book.call(secs(100.0), call("file/cp", None)).0,
        Err(Locked::Banned)
    );
}

#[test]
fn who_asks_for_file_info_too_often_is_banned() {
    let mut book = book(Limits::Documented);
    let at = |n: u32| secs(f64::from(n) * 2.4);
    for n in 0..24 {
        assert_eq!(book.call(at(n), call("file/info", None)).0, Ok(()), "{n}");
    }
    let (verdict, news) = book.call(at(24), call("file/info", None));
    assert_eq!(verdict, Err(Locked::Banned));
    assert!(matches!(news[..], [News::Exceeded(_)]));
    assert!(book.banned(at(25), ip(1)) && !book.banned(at(25), ip(2)));
}

#[test]
fn many_small_downloads_in_a_row_lock_the_giving_of_links() {
    let mut book = book(Limits::Observed);
    let call = |script| call(script, None);
    for n in 0..60 {
        let at = secs(f64::from(n) * 0.6);
        assert_eq!(
            book.small_download(at, call("download/get_token")).0,
            Ok(())
        );
    }
    let verdict = book
        .small_download(secs(40.0), call("download/get_token"))
        .0;
    assert_eq!(verdict, Err(Locked::Ip));
    assert!(book.call(secs(41.0), call("download/get_token")).0.is_err());
    assert!(book.call(secs(41.0), call("file/mv")).0.is_ok());
}

#[test]
fn off_means_off() {
    let mut book = book(Limits::Off);
    for _ in 0..1_000 {
        let listing = Some(Listing::Folder(0, ""));
        assert!(book.call(secs(0.0), call("folder/ls", listing)).0.is_ok());
        assert!(book.call(secs(0.0), call("file/info", None)).0.is_ok());
        assert_eq!(book.failed(secs(0.0), ip(1)), None);
    }
}
