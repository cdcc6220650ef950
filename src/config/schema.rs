//! stub
use super::yaml::Node; use crate::diag::Report;
/// d
pub enum Draft {/// a
Draft07,/// b
Draft202012}
/// c
pub struct Checker; impl Checker { /// b
pub fn bridge()->&'static Self{&Checker} /// s
pub fn server()->&'static Self{&Checker} }
/// c
pub fn check(_:&Checker,_:&Node,_:&mut Report){}
/// b
pub fn bridge_schema(_:Draft)->serde_json::Value{Default::default()}
/// b
pub fn server_schema(_:Draft)->serde_json::Value{Default::default()}
