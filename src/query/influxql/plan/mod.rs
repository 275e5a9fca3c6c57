//! SELECT as plans of the engine, and what they answer.
//!
//! Owns: what names mean in one version of the catalog (`resolve`), what types expressions have (`typing`), which plan
//! computes them (`select`). Does not own: which statements make sense, which is checked before; how functions over
//! series compute, which all languages share ([`crate::query::functions::series`], [`crate::query::series`]).
//!
//! | file | what it is for |
//! |---|---|
//! | `resolve`, `names`, `typing`, `types` | tables, wildcards, types, names of columns |
//! | `range` | bounds on time, windows |
//! | `read`, `condition` | rows of tables and inner selects, under WHERE |
//! | `select` | selects of rows as they are, order, LIMIT |
//! | `calls`, `aggregate`, `points`, `sequence` | selects with calls |
//! | `together` | several calls side by side |
//! | `before` | `fill(previous)` over rows |
//! | `limits` | LIMIT where rows are counted by their place among others |
//! | `fields`, `values` | expressions over what was computed |
//! | `rows` | how columns are called inside a plan |
//! | [`execute`], [`into`] | running it all, writing what comes out |

mod aggregate;
mod ahead;
mod before;
mod calls;
mod condition;
pub mod execute;
mod fields;
pub mod into;
mod limits;
mod names;
mod points;
mod range;
mod read;
mod resolve;
mod rows;
mod select;
mod sequence;
mod together;
mod types;
mod typing;
mod values;
