package store

import (
	"database/sql"
	"testing"
	"time"

	"capf/runtime/capf"
)

func TestTimesInColumns(t *testing.T) {
	zone := time.FixedZone("", 5*3600)
	for _, test := range []struct{ in, want time.Time }{
		{time.Time{}, time.Time{}},
		{time.Unix(0, 0), time.Unix(0, 0).UTC()},
		{time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC)},
		{time.Date(2026, 3, 1, 12, 0, 0, 999_999_999, zone), time.Date(2026, 3, 1, 7, 0, 0, 0, time.UTC)},
		{time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
	} {
		if got := Time(Seconds(test.in)); got != test.want {
			t.Errorf("%s came back as %s", test.in, got)
		}
		if got := WholeSeconds(test.in); got != test.want {
			t.Errorf("whole seconds of %s: %s", test.in, got)
		}
	}
}

func TestResultsInColumns(t *testing.T) {
	success := capf.ResultSuccess
	for _, want := range []*capf.Result{nil, &success} {
		got := Result(ResultColumn(want))
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%v came back as %v", want, got)
		}
	}
}

func TestSecretsInColumns(t *testing.T) {
	digits, err := capf.ParseAuthenticationString("0042")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []capf.AuthenticationString{{}, digits} {
		got, err := Secret(SecretColumn(want))
		if err != nil || !got.Same(want) {
			t.Errorf("%q came back as %q, %v", want.Reveal(), got.Reveal(), err)
		}
	}
	if _, err := Secret(sql.Null[string]{V: "no digits", Valid: true}); err == nil {
		t.Error("a damaged column was read as a string")
	}
}

func TestNullable(t *testing.T) {
	if Nullable(int64(0)).Valid || !Nullable(int64(7)).Valid || Nullable("").Valid || Nullable("x").V != "x" {
		t.Error("zero is NULL, and nothing else")
	}
}
