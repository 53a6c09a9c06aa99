package store

import (
	"database/sql"
	"time"

	"capf/runtime/capf"
)

// Times stand in columns as whole seconds since 1970 in UTC, and the zero time as NULL: they are compared
// often, in indexes too, and read by us only.

// Seconds gives a time as it stands in a column.
func Seconds(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.Unix(), Valid: !t.IsZero()}
}

// Time reads a column that Seconds wrote.
func Time(seconds sql.NullInt64) time.Time {
	if !seconds.Valid {
		return time.Time{}
	}
	return time.Unix(seconds.Int64, 0).UTC()
}

// WholeSeconds cuts a time to what a column holds.
func WholeSeconds(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

// Nullable gives NULL for the zero value, as for IDs and results that may be missing.
func Nullable[T comparable](value T) sql.Null[T] {
	var zero T
	return sql.Null[T]{V: value, Valid: value != zero}
}

// ResultColumn gives a result as it stands in a column; nil is NULL.
func ResultColumn(result *capf.Result) sql.NullInt64 {
	if result == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: int64(*result), Valid: true}
}

// Result reads a column that ResultColumn wrote.
func Result(column sql.NullInt64) *capf.Result {
	if !column.Valid {
		return nil
	}
	result := capf.Result(column.Int64)
	return &result
}

// SecretColumn gives the digits of an authentication string as they stand in a column; none is NULL.
func SecretColumn(digits capf.AuthenticationString) sql.Null[string] {
	return Nullable(digits.Reveal())
}

// Secret reads a column that SecretColumn wrote.
func Secret(column sql.Null[string]) (capf.AuthenticationString, error) {
	if !column.Valid {
		return capf.AuthenticationString{}, nil
	}
	return capf.ParseAuthenticationString(column.V)
}
