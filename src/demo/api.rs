//! A small but real HTTP API of an imaginary company: employees, schedules, time off, and a few ways to fail.
//!
//! It checks the caller's token itself, as an enterprise API does, and lets nobody see a colleague's data.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode, header};
use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};
use serde_json::{Map, Value, json};

use super::issuer::Issuer;

/// The longest range of a schedule, in days.
const MAX_RANGE: i32 = 62;
/// The longest time off without approval, in days.
const MAX_DAYS: i64 = 10;
/// Time off a year, in days.
const YEARLY_DAYS: i64 = 28;
/// The longest that the slow route takes, in seconds.
const MAX_SLOWNESS: u64 = 30;

/// A small picture of a face.
const BADGE: &[u8] = include_bytes!("badge.png");

/// What the handlers share.
#[derive(Clone)]
struct Company {
    issuer: Issuer,
    requests: Arc<Mutex<Vec<TimeOff>>>,
}

/// A request for time off.
#[derive(Clone, Debug)]
struct TimeOff {
    id: String,
    employee: String,
    start: Date,
    days: i64,
    note: Option<String>,
}

/// An answer that is not a success.
struct Failure(StatusCode, Value);

type Answer = Result<Response, Failure>;
type Params = Query<HashMap<String, String>>;

/// The routes of the API.
pub fn router(issuer: Issuer) -> Router {
    Router::new()
        .route("/hr/employees", get(employee))
        .route("/hr/employees/{employee}/time-off", get(time_off))
        .route("/hr/badges/{employee}", get(badge))
        .route("/hr/reports/broken", get(broken))
        .route("/hr/reports/slow", get(slow))
        .route("/wfm/schedules", get(schedule))
        .route("/wfm/employees/{employee}/time-off", post(request_time_off))
        .route("/company/holidays", get(holidays))
        .fallback(|| async { Failure(StatusCode::NOT_FOUND, json!({"message": "No such route"})).into_response() })
        .with_state(Company { issuer, requests: Arc::default() })
}

async fn employee(State(company): State<Company>, headers: HeaderMap, Query(query): Params) -> Answer {
    let claims = company.caller(&headers)?;
    let gpid = query.get("gpid").ok_or_else(|| bad_request("`gpid` is missing"))?;
    own(&claims, gpid)?;
    record(gpid).map(ok)
}

async fn schedule(State(company): State<Company>, headers: HeaderMap, Query(query): Params) -> Answer {
    let claims = company.caller(&headers)?;
    let gpid = query.get("gpid").ok_or_else(|| bad_request("`gpid` is missing"))?;
    own(&claims, gpid)?;
    record(gpid)?;
    let (start, end) = (date(&query, "start")?, date(&query, "end")?);
    let days = (end - start).get_days();
    if !(0..MAX_RANGE).contains(&days) {
        return Err(bad_request(&format!("`end` must be within {MAX_RANGE} days after `start`")));
    }
    let shifts: Vec<Value> = start
        .series(1.day())
        .take_while(|day| *day <= end)
        .filter(|day| !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday))
        .map(|day| {
            // Early and late shifts take turns by the day of the month.
            let (begin, finish) = if day.day() % 2 == 0 { ("06:00", "14:30") } else { ("09:00", "17:30") };
            json!({"date": day.to_string(), "from": begin, "to": finish, "location": "Berlin"})
        })
        .collect();
    Ok(ok(json!({"gpid": gpid, "start": start.to_string(), "end": end.to_string(), "shifts": shifts})))
}

async fn time_off(State(company): State<Company>, headers: HeaderMap, Path(employee): Path<String>) -> Answer {
    let claims = company.caller(&headers)?;
    own(&claims, &employee)?;
    let requests = company.requests_of(&employee);
    let taken: i64 = requests.iter().map(|request| request.days).sum();
    let requests: Vec<Value> = requests.iter().map(TimeOff::show).collect();
    Ok(ok(json!({"employee": employee, "days_left": YEARLY_DAYS - taken, "requests": requests})))
}

async fn request_time_off(
    State(company): State<Company>,
    headers: HeaderMap,
    Path(employee): Path<String>,
    body: Result<Json<Map<String, Value>>, axum::extract::rejection::JsonRejection>,
) -> Answer {
    let claims = company.caller(&headers)?;
    own(&claims, &employee)?;
    let Json(body) = body.map_err(|_| bad_request("the body must be a JSON object"))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let start: Date = text("start")
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| bad_request("`start` must be a date such as 2026-12-01"))?;
    let days = body.get("days").and_then(Value::as_i64).filter(|days| *days > 0);
    let days = days.ok_or_else(|| bad_request("`days` must be a whole number above 0"))?;
    if days > MAX_DAYS {
        let message = format!("More than {MAX_DAYS} consecutive days need a manager's approval");
        return Err(Failure(StatusCode::UNPROCESSABLE_ENTITY, json!({ "message": message })));
    }
    let mut requests = company.requests.lock().unwrap_or_else(PoisonError::into_inner);
    let request = TimeOff {
        id: format!("TO-{}", 1001 + requests.len()),
        employee,
        start,
        days,
        note: text("note").map(str::to_owned),
    };
    let clash = requests.iter().find(|other| other.employee == request.employee && other.overlaps(&request));
    if let Some(clash) = clash {
        let message = format!("Overlaps with {}", clash.id);
        return Err(Failure(StatusCode::CONFLICT, json!({"message": message, "conflict": clash.id})));
    }
    let shown = request.show();
    requests.push(request);
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

async fn holidays(Query(query): Params) -> Answer {
    let year: i16 = match query.get("year") {
        None => 2026,
        Some(text) => text.parse().map_err(|_| bad_request("`year` must be a year such as 2026"))?,
    };
    let days = [("01-01", "New Year"), ("05-01", "Labour Day"), ("12-25", "Christmas Day"), ("12-26", "Boxing Day")];
    let days: Vec<Value> =
        days.iter().map(|(day, name)| json!({"date": format!("{year}-{day}"), "name": name})).collect();
    Ok(ok(json!({"year": year, "holidays": days})))
}

async fn badge(State(company): State<Company>, headers: HeaderMap, Path(employee): Path<String>) -> Answer {
    let claims = company.caller(&headers)?;
    own(&claims, &employee)?;
    record(&employee)?;
    Ok(([(header::CONTENT_TYPE, "image/png")], BADGE).into_response())
}

async fn broken(State(company): State<Company>, headers: HeaderMap) -> Answer {
    company.caller(&headers)?;
    Err(Failure(StatusCode::INTERNAL_SERVER_ERROR, json!({"message": "The report engine is out of order"})))
}

async fn slow(State(company): State<Company>, headers: HeaderMap, Query(query): Params) -> Answer {
    company.caller(&headers)?;
    let seconds: u64 = query.get("seconds").and_then(|text| text.parse().ok()).unwrap_or(3);
    if seconds > MAX_SLOWNESS {
        return Err(bad_request(&format!("`seconds` is at most {MAX_SLOWNESS}")));
    }
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    Ok(ok(json!({"slept_seconds": seconds})))
}

// === impl Company ===

impl Company {
    /// The claims of the caller's token.
    fn caller(&self, headers: &HeaderMap) -> Result<Map<String, Value>, Failure> {
        headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .and_then(|token| self.issuer.verify(token))
            .ok_or_else(|| Failure(StatusCode::UNAUTHORIZED, json!({"message": "A valid access token is needed"})))
    }

    fn requests_of(&self, employee: &str) -> Vec<TimeOff> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.iter().filter(|request| request.employee == employee).cloned().collect()
    }
}

// === impl TimeOff ===

impl TimeOff {
    fn last(&self) -> Date {
        self.start.saturating_add((self.days - 1).days())
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.start <= other.last() && other.start <= self.last()
    }

    fn show(&self) -> Value {
        json!({"id": self.id, "start": self.start.to_string(), "end": self.last().to_string(), "days": self.days,
            "note": self.note, "state": "submitted"})
    }
}

// === impl Failure ===

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

fn ok(body: Value) -> Response {
    Json(body).into_response()
}

fn bad_request(message: &str) -> Failure {
    Failure(StatusCode::BAD_REQUEST, json!({ "message": message }))
}

/// Lets callers see only what is theirs.
fn own(claims: &Map<String, Value>, employee: &str) -> Result<(), Failure> {
    let is_mine = ["gpid", "employeeNumber", "sub"]
        .iter()
        .any(|name| claims.get(*name).and_then(Value::as_str) == Some(employee));
    if is_mine {
        return Ok(());
    }
    Err(Failure(StatusCode::FORBIDDEN, json!({"message": "You can see only your own data"})))
}

fn record(gpid: &str) -> Result<Value, Failure> {
    let found = match gpid {
        "10012345" => {
            json!({"gpid": gpid, "name": "Alice Arnold", "title": "HR Business Partner", "department": "People",
            "manager": "Marta Keller", "location": "Berlin", "hired": "2019-04-01"})
        }
        "20023456" => {
            json!({"gpid": gpid, "name": "Bob Brandt", "title": "Shift Supervisor", "department": "Operations",
            "manager": "Alice Arnold", "location": "Hamburg", "hired": "2022-09-15"})
        }
        _ => return Err(Failure(StatusCode::NOT_FOUND, json!({"message": "No employee with that gpid"}))),
    };
    Ok(found)
}

fn date(query: &HashMap<String, String>, name: &str) -> Result<Date, Failure> {
    query
        .get(name)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| bad_request(&format!("`{name}` must be a date such as 2026-01-05")))
}
