use std::time::Duration;

use super::*;
use crate::config::value::Umask;

const KEY: &str = "abcdefghijklmnopqrstuvwxyz012345";

fn file(text: &str) -> Layers {
    Layers {
        file: Some(("/c.toml".into(), text.to_owned().into())),
        ..Layers::default()
    }
}

fn refusal(layers: &Layers) -> String {
    resolve(layers).unwrap_err().to_string()
}

#[test]
fn each_layer_covers_the_one_before() {
    let mut layers = file("uploads = 3\n[profile.a]\nuploads = 4\n[profile.b]\nuploads = 9\n");
    let uploads = |layers: &Layers| {
        let resolved = resolve(layers).unwrap();
        let by = resolved.decided_by.get("uploads").copied();
        (resolved.settings.uploads.0, by.unwrap_or(Layer::Default))
    };
    assert_eq!(uploads(&Layers::default()), (2, Layer::Default));
    assert_eq!(uploads(&layers), (3, Layer::File));
    layers.profile = Some("a".to_owned());
    assert_eq!(uploads(&layers), (4, Layer::Profile));
    layers.environment = vec![("FICHIERFS_UPLOADS".to_owned(), "5".to_owned())];
    assert_eq!(uploads(&layers), (5, Layer::Environment));
    layers.mount_options = vec!["uploads=6".to_owned()];
    assert_eq!(uploads(&layers), (6, Layer::MountOption));
    layers.flags = vec![("uploads", "7".to_owned())];
    assert_eq!(uploads(&layers), (7, Layer::Flag));
}

#[test]
fn the_file_takes_toml_types() {
    let layers = file("ro = true\nwrite_back = \"90s\"\numask = \"077\"\nlimits_scale = 2.5\n");
    let settings = resolve(&layers).unwrap().settings;
    assert!(settings.ro);
    assert_eq!(settings.write_back, Duration::from_secs(90));
    assert_eq!(settings.umask, Umask(0o77));
    assert_eq!(settings.limits_scale.0, 2.5);
}

#[test]
fn an_unknown_option_is_named_with_the_nearest() {
    let text = refusal(&file("write_bak = \"5s\""));
    assert_eq!(
        text,
        "/c.toml: there is no option \"write_bak\"; did you mean \"write_back\"?"
    );
    assert!(refusal(&file("zzz = 1")).ends_with("there is no option \"zzz\""));
    // In a profile that is not even used, too.
    let text = refusal(&file("[profile.x]\ncash_size = 1"));
    assert!(
        text.contains("[profile.x]") && text.contains("cache_size"),
        "{text}"
    );
}

#[test]
fn a_bad_value_is_named_with_what_is_expected() {
    let text = refusal(&file("write_back = \"soon\""));
    assert_eq!(
        text,
        "/c.toml: write_back cannot be \"soon\": it takes a duration such as 90s, 10m or 1h30m"
    );
    let text = refusal(&file("write_back = 1979-05-27T07:32:00Z"));
    assert!(text.contains("TOML datetime"), "{text}");
    let layers = Layers {
        mount_options: vec!["uid".to_owned()],
        ..Layers::default()
    };
    assert_eq!(refusal(&layers), "-o: uid needs a value, as in uid=…");
}

#[test]
fn no_message_quotes_the_key() {
    let broken_key = format!("api_key = \"{KEY} {KEY}\"");
    let broken_line = format!("api_key = \"{KEY}");
    let broken_rest = format!("api_key = \"{KEY}\"\nro = maybe\n");
    for text in [broken_key, broken_line, broken_rest] {
        let error = resolve(&file(&text)).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(KEY), "{shown}");
    }
    let resolved = resolve(&file(&format!("api_key = \"{KEY}\""))).unwrap();
    assert_eq!(resolved.settings.api_key.as_ref().unwrap().expose(), KEY);
    assert!(!format!("{resolved:?}").contains(KEY));
}

#[test]
fn the_key_is_not_taken_from_arguments() {
    let option = Layers {
        mount_options: vec![format!("api_key={KEY}")],
        ..Layers::default()
    };
    let flag = Layers {
        flags: vec![("api_key", KEY.to_owned())],
        ..Layers::default()
    };
    for layers in [option, flag] {
        let error = resolve(&layers).unwrap_err();
        assert!(matches!(error, ConfigError::SecretInArguments { .. }));
        assert!(!error.to_string().contains(KEY));
    }
}

#[test]
fn mount_options_are_those_of_mount_too() {
    let layers = Layers {
        mount_options: vec![
            "rw,noexec,_netdev,x-systemd.automount,uid=7,allow_other".to_owned(),
            r"root_folder=a\,b\\c".to_owned(),
        ],
        ..file("ro = true")
    };
    let resolved = resolve(&layers).unwrap();
    assert!(!resolved.settings.ro && resolved.settings.allow_other);
    assert_eq!(resolved.settings.uid, Some(7));
    assert_eq!(resolved.settings.root_folder, r"a,b\c");
    assert_eq!(resolved.kernel_options, ["noexec"]);
}

#[test]
fn a_missing_profile_is_an_error_that_lists_the_others() {
    let layers = Layers {
        profile: Some("c".to_owned()),
        ..file("[profile.a]\n[profile.b]\n")
    };
    assert_eq!(
        refusal(&layers),
        "there is no [profile.c] in the configuration; it has: a, b"
    );
}

#[test]
fn a_variable_that_looks_like_ours_is_reported() {
    let layers = Layers {
        environment: vec![
            ("FICHIERFS_UPLOAD".to_owned(), "5".to_owned()),
            ("FICHIERFS_PROFILE".to_owned(), "x".to_owned()),
            ("HOME".to_owned(), "/".to_owned()),
        ],
        ..Layers::default()
    };
    assert_eq!(
        resolve(&layers).unwrap().unknown_variables,
        ["FICHIERFS_UPLOAD"]
    );
}

#[test]
fn a_number_out_of_its_bounds_is_refused_wherever_it_is_given() {
    for (name, values, bounds) in [
        ("uploads", ["0", "31"], "a whole number from 1 to 30"),
        ("connections", ["0", "1000"], "a whole number from 1 to 30"),
        ("metadata_deadline", ["0", "0s"], "a duration above zero"),
        ("data_deadline", ["0", "0ms"], "a duration above zero"),
        ("connect_timeout", ["0", "0m"], "a duration above zero"),
    ] {
        for value in values {
            let variable = OptionSpec::of(name).unwrap().variable();
            for layers in [
                file(&format!("{name} = \"{value}\"")),
                Layers {
                    environment: vec![(variable, value.to_owned())],
                    ..Layers::default()
                },
                Layers {
                    mount_options: vec![format!("{name}={value}")],
                    ..Layers::default()
                },
                Layers {
                    flags: vec![(name, value.to_owned())],
                    ..Layers::default()
                },
            ] {
                let text = refusal(&layers);
                let expected = format!("{name} cannot be \"{value}\": it takes {bounds}");
                assert!(text.contains(&expected), "{text}");
            }
        }
    }
}
