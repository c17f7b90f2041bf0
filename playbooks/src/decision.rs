//! Facts → cause → next rung or a refusal. Pure: no clock, no socket.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleetmend_model::{Cause, CauseId, Facts};
use serde_json::{Map, Value};

use crate::condition::render;
use crate::consult::with_directory;
use crate::need::{Missing, missing, optional_missing, reboots_missing};
use crate::scope::Scope;
use crate::{CauseKind, CauseRule, Guard, Language, Localized, Playbook, Rung};

/// What the decision knows beside the facts.
#[derive(Clone, Debug, Default)]
pub struct Situation {
    /// Values of the parameters, secrets left out; a set credential stands as its name.
    pub params: Map<String, Value>,
    /// `name`, `address`, `names`, `groups` and `vars` of the host, as the inventory has them.
    pub host: Map<String, Value>,
    /// Rungs that ran already on this PC in this run, whatever came of them.
    pub tried: BTreeSet<String>,
    /// Credential parameters that are set *and* may reach PCs.
    pub credentials_for_pcs: BTreeSet<String>,
    /// Credential parameters that are set at all.
    pub credentials: BTreeSet<String>,
    /// What the preflights of rungs brought since the last diagnose, by rung.
    pub preflights: BTreeMap<String, PreflightEnd>,
    /// How often a PC may be restarted in one run.
    pub max_reboots: u32,
    /// How often this PC was restarted in this run.
    pub reboots: u32,
    /// The hours in which PCs may be restarted; unset, any.
    pub reboot_window: Option<RebootWindow>,
    /// Whether the controller reaches the directory.
    pub directory: bool,
    /// Whether the controller can make offline join blobs.
    pub offline_join: bool,
    /// Answers of the steps of the rung that ran last, by step name; empty before the first.
    /// Verify uses them to know what is new since the repair.
    pub answers: Map<String, Value>,
    /// The language of reasons.
    pub language: Language,
}

/// What the preflight of a rung brought.
#[derive(Clone, Debug, PartialEq)]
pub enum PreflightEnd {
    /// The answers of its steps, by step.
    Answered(Map<String, Value>),
    /// A step did not answer.
    Failed {
        /// Which.
        step: String,
        /// Why.
        reason: String,
    },
}

/// The hours in which PCs may be restarted, as they are now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebootWindow {
    /// How it was given: `22:00-05:00`.
    pub text: String,
    /// How long it is still open; unset, it is closed now.
    pub open_for: Option<Duration>,
}

/// What to do next with a PC.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Nothing is wrong.
    Healthy,
    /// Run the preflight of this rung, then decide again.
    Preflight {
        /// What is wrong.
        cause: Cause,
        /// The rung's id.
        rung: String,
    },
    /// Run this rung.
    Try {
        /// What is wrong.
        cause: Cause,
        /// The rung's id.
        rung: String,
        /// What is wrong, in words.
        reason: String,
    },
    /// A rung fits and would be next, but something forbids it and no other rung fits.
    Blocked {
        /// What is wrong.
        cause: Cause,
        /// The guard's name, or `needs-credential`, `needs-parameter`, `needs-reboot`,
        /// `reboot-window`, `preflight`, ….
        guard: String,
        /// Why.
        reason: String,
        /// What to do.
        next: String,
    },
    /// The PC ends here with this cause.
    Stop {
        /// What is wrong.
        cause: Cause,
        /// How it ends: `not-repaired`, `skipped`, `access-denied` or `needs-hands`.
        end: StopKind,
        /// Why.
        reason: String,
        /// What to do.
        next: String,
    },
}

/// What verify's evidence amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyVerdict {
    /// The PC is repaired.
    Proven,
    /// Only a reboot is missing.
    RebootPending,
    /// The evidence does not hold.
    NotProven {
        /// Which requirement fails, and why.
        reason: String,
        /// Whether asking again may help.
        again: bool,
    },
}

/// How a PC ends when nothing more is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each is documented at the outcome of the same name"
)]
pub enum StopKind {
    NotRepaired,
    Skipped,
    AccessDenied,
    NeedsHands,
}

/// The facts and the situation disagree with the playbook: a name is undefined, a type is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to decide at {place}: {detail}")]
pub struct DecisionError {
    /// `causes/password-mismatch/when`, with file, line and column.
    pub place: String,
    /// What the expression engine said.
    pub detail: String,
}

impl Playbook {
    /// Decides what to do next with a PC whose diagnose step answered `facts`.
    ///
    /// The first cause whose condition holds counts. Of the rungs for it that were not tried and
    /// whose own condition holds, the first that has what it needs and whose guards hold is
    /// next; if there are such rungs but each is forbidden, the hindrance of the first whose
    /// preflight was run is told, else of the first.
    ///
    /// # Errors
    /// [`DecisionError`] when a condition names what the facts do not hold.
    pub fn decide(&self, facts: &Facts, situation: &Situation) -> Result<Decision, DecisionError> {
        let scope = self.scope(facts, situation)?;
        let Some(rule) = first(&self.causes, |rule| rule.when.holds(&scope))? else {
            return Err(DecisionError {
                place: format!("{} (causes)", self.name),
                detail: "no cause fits".to_owned(),
            });
        };
        if rule.kind == CauseKind::Healthy {
            return Ok(Decision::Healthy);
        }
        let cause = Cause {
            id: CauseId(rule.id.clone()),
            code: code(rule, &scope)?,
        };
        let explain = |text: &Localized, what: &str| {
            let place = format!("{} (causes/{}/{what})", self.name, rule.id);
            render(text.text(situation.language), &scope, &place)
        };
        let end = match rule.kind {
            CauseKind::Healthy | CauseKind::Fault => StopKind::NotRepaired,
            CauseKind::Skip => StopKind::Skipped,
            CauseKind::AccessDenied => StopKind::AccessDenied,
            CauseKind::NeedsHands => StopKind::NeedsHands,
        };
        if rule.kind == CauseKind::Fault {
            match self.climb(&rule.id, &scope, situation)? {
                Climb::Free(rung) => {
                    let reason = explain(&rule.reason, "reason")?;
                    return Ok(Decision::Try {
                        cause,
                        rung,
                        reason,
                    });
                }
                Climb::Look(rung) => return Ok(Decision::Preflight { cause, rung }),
                Climb::Hindered(Hindrance {
                    guard,
                    reason,
                    next,
                }) => {
                    return Ok(Decision::Blocked {
                        cause,
                        guard,
                        reason,
                        next,
                    });
                }
                Climb::Top => {}
            }
        }
        let (reason, next) = (
            explain(&rule.reason, "reason")?,
            explain(&rule.next, "next")?,
        );
        Ok(Decision::Stop {
            cause,
            end,
            reason,
            next,
        })
    }

    /// Judges the answer of the verify step, after a rung, by the facts of the last diagnose.
    ///
    /// # Errors
    /// [`DecisionError`] when a condition names what the answer or the facts do not hold.
    pub fn verified(
        &self,
        verify: &Value,
        facts: &Facts,
        situation: &Situation,
    ) -> Result<VerifyVerdict, DecisionError> {
        let verify = with_directory(verify.clone(), self.verify.consult.as_ref());
        let scope = self.scope_after(facts, situation)?;
        let scope = scope.with("verify", &verify);
        if let Some(pending) = &self.verify.reboot_pending
            && pending.holds(&scope)?
        {
            return Ok(VerifyVerdict::RebootPending);
        }
        match first(&self.verify.require, |guard| {
            Ok(!guard.require.holds(&scope)?)
        })? {
            None => Ok(VerifyVerdict::Proven),
            Some(failed) => {
                let place = format!("{} (verify/{}/reason)", self.name, failed.name);
                let reason = render(failed.reason.text(situation.language), &scope, &place)?;
                let again = match &self.verify.ask_again {
                    Some(condition) => condition.holds(&scope)?,
                    None => true,
                };
                Ok(VerifyVerdict::NotProven { reason, again })
            }
        }
    }

    /// Returns the names that conditions can use, terms included.
    pub(crate) fn scope(
        &self,
        facts: &Facts,
        situation: &Situation,
    ) -> Result<Scope, DecisionError> {
        let facts = with_directory(facts.to_value(), self.consult.as_ref());
        let mut scope = Scope::of(situation).with("facts", &facts);
        for term in &self.terms {
            let value = term.value.run(&scope)?;
            scope.insert(&term.name, value);
        }
        Ok(scope)
    }

    /// Looks for the first rung that is free to run.
    fn climb(
        &self,
        cause: &str,
        scope: &Scope,
        situation: &Situation,
    ) -> Result<Climb, DecisionError> {
        let (mut hindered, mut nearly) = (None, None);
        for rung in &self.ladder {
            let for_cause = rung.causes.iter().any(|id| id == cause);
            if !for_cause || situation.tried.contains(&rung.id) || !fits(rung, scope)? {
                continue;
            }
            if let Some(hindrance) = self.hindrance(rung, scope, situation)? {
                hindered = hindered.or(Some(hindrance));
                continue;
            }
            let Some(preflight) = &rung.preflight else {
                return Ok(Climb::Free(rung.id.clone()));
            };
            let hindrance = match situation.preflights.get(&rung.id) {
                None => return Ok(Climb::Look(rung.id.clone())),
                Some(PreflightEnd::Answered(answers)) => {
                    let answers = Value::Object(answers.clone());
                    let scope = scope.clone().with("preflight", &answers);
                    self.forbidden(rung, &preflight.guards, &scope, situation.language)?
                }
                Some(PreflightEnd::Failed { step, reason }) => {
                    Some(unasked(&rung.id, step, reason, situation.language))
                }
            };
            match hindrance {
                None => return Ok(Climb::Free(rung.id.clone())),
                Some(hindrance) => nearly = nearly.or(Some(hindrance)),
            }
        }
        // The rung that was looked at came nearest to being run, so what is in its way is worth
        // the most.
        Ok(nearly.or(hindered).map_or(Climb::Top, Climb::Hindered))
    }

    /// Returns what keeps a rung from running that is known without its preflight.
    fn hindrance(
        &self,
        rung: &Rung,
        scope: &Scope,
        situation: &Situation,
    ) -> Result<Option<Hindrance>, DecisionError> {
        let guarded = || self.forbidden(rung, &rung.guards, scope, situation.language);
        if let Some(lack) = reboots_missing(rung, situation) {
            // What no option lifts is told first, and what else the rung needs is worth getting
            // only if it may be at all.
            return Ok(guarded()?.or(Some(lack.into())));
        }
        let mut needs = rung.needs.iter();
        let lack = needs.find_map(|need| missing(need, &rung.id, situation));
        match lack.or_else(|| optional_missing(rung, situation)) {
            Some(lack) => Ok(Some(lack.into())),
            None => guarded(),
        }
    }

    /// Returns the first of these guards of a rung that does not hold.
    fn forbidden(
        &self,
        rung: &Rung,
        guards: &[Guard],
        scope: &Scope,
        language: Language,
    ) -> Result<Option<Hindrance>, DecisionError> {
        let Some(guard) = first(guards, |guard: &Guard| Ok(!guard.require.holds(scope)?))? else {
            return Ok(None);
        };
        let place =
            |what: &str| format!("{} (repair/{}/{}/{what})", self.name, rung.id, guard.name);
        Ok(Some(Hindrance {
            guard: guard.name.clone(),
            reason: render(guard.reason.text(language), scope, &place("reason"))?,
            next: render(guard.next.text(language), scope, &place("next"))?,
        }))
    }
}

/// Win32 codes with which a domain refuses a credential: a further attempt may lock it out.
const REFUSED: [i64; 10] = [1326, 1327, 1328, 1329, 1330, 1331, 1385, 1793, 1907, 1909];

/// Tells whether a step's answer says that the domain refused the credential it was given, and
/// with which Win32 code. By convention such an answer has a field `credential_error`. No
/// other PC may then be sent the same credential.
pub fn refused_credential(answer: &Value) -> Option<i64> {
    let code = answer.get("credential_error")?.as_i64()?;
    REFUSED.contains(&code).then_some(code)
}

/// How far up the ladder there is a way.
enum Climb {
    Free(String),
    /// The rung is next, if its preflight finds nothing against it.
    Look(String),
    Hindered(Hindrance),
    Top,
}

/// What keeps a rung from running.
struct Hindrance {
    guard: String,
    reason: String,
    next: String,
}

impl From<Missing> for Hindrance {
    fn from(lack: Missing) -> Self {
        Self {
            guard: lack.guard.to_owned(),
            reason: lack.reason,
            next: lack.next,
        }
    }
}

/// Tells that a rung's preflight could not be carried out.
fn unasked(rung: &str, step: &str, reason: &str, language: Language) -> Hindrance {
    let (reason, next) = match language {
        Language::En => (
            format!("what must hold before {rung} could not be looked at ({step}): {reason}"),
            "see why the step did not answer, then run again",
        ),
        Language::Ja => (
            format!("{rung} の前に満たすべき条件を確認できませんでした ({step}): {reason}"),
            "応答しなかった理由を確認してから、もう一度実行してください",
        ),
    };
    Hindrance {
        guard: "preflight".to_owned(),
        reason,
        next: next.to_owned(),
    }
}

fn first<T>(
    items: &[T],
    mut is: impl FnMut(&T) -> Result<bool, DecisionError>,
) -> Result<Option<&T>, DecisionError> {
    for item in items {
        if is(item)? {
            return Ok(Some(item));
        }
    }
    Ok(None)
}

fn fits(rung: &Rung, scope: &Scope) -> Result<bool, DecisionError> {
    rung.when
        .as_ref()
        .map_or(Ok(true), |when| when.holds(scope))
}

fn code(rule: &CauseRule, scope: &Scope) -> Result<Option<i64>, DecisionError> {
    let Some(expression) = &rule.code else {
        return Ok(None);
    };
    match expression.evaluate(scope)? {
        Value::Null => Ok(None),
        Value::Number(number) if number.is_i64() => Ok(number.as_i64()),
        other => Err(DecisionError {
            place: expression.place.clone(),
            detail: format!("`{other}` is not a whole number"),
        }),
    }
}
