//! YAML and CSV inventories to checked hosts.
