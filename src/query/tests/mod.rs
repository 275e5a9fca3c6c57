//! Tables made of segments and live rows in every way, asked through the engine.

mod chosen_rows;
mod damage;
mod edges;
mod functions;
mod influxql;
mod limits;
mod opentsdb;
mod oracle;
mod plans;
mod sandbox;
mod store;
mod tdengine;
mod words;
mod world;
