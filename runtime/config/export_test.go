package config

// Examples are the values that errors show.
var Examples = examples
