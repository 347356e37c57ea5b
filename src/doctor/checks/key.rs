//! The key: that there is one, and that the service takes it.

use super::super::{Case, Finding, KeyAnswer};

const CHECK: &str = "key";

pub(super) fn check(case: &Case) -> Vec<Finding> {
    if case.known().is_none() {
        return Vec::new();
    }
    vec![match &case.key {
        KeyAnswer::None(why) => Finding::problem(CHECK, why).mend("fichierfs init"),
        KeyAnswer::Refused(why) => Finding::problem(CHECK, why).mend("fichierfs init"),
        KeyAnswer::Good(who) => {
            Finding::ok(CHECK, format!("the service takes the API key ({who})"))
        }
        KeyAnswer::NotAsked(why) => Finding::note(
            CHECK,
            format!("the service was not asked about the API key: {why}"),
        ),
    }]
}
