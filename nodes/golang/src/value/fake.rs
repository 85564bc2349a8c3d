//! Types and memory that tests make up.
