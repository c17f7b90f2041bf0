//! End-to-end tests of the real binary; the tests themselves stand beside this file.
