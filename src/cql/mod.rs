//! CQL types: their model, the two syntaxes they are written in, the order of their values.

mod compare;
mod literal;
mod type_string;
mod types;

pub use compare::compare_values;
pub use literal::encode_literal;
pub(crate) use type_string::write_identifier;
pub use type_string::{MarshalType, parse_cql_type, parse_marshal_type};
pub use types::{CqlType, UdtType};
