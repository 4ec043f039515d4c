//! CQL types: their model, the two syntaxes they are written in, the order of their values, also as bytes that have it.

mod byte_comparable;
mod compare;
mod literal;
mod type_string;
mod types;

pub use byte_comparable::{
    NEXT_COMPONENT, NotByteComparable, TERMINATOR, write_byte_comparable, write_escaped,
};
pub use compare::{compare_values, fields_present};
pub use literal::encode_literal;
pub use type_string::{MarshalType, parse_cql_type, parse_marshal_type};
pub(crate) use type_string::{quote_name, write_identifier};
pub use types::{CqlType, UdtType};
