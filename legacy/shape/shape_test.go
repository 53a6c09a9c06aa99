package shape_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"capf/legacy/dialect"
	"capf/legacy/shape"
)

func columnOf(values ...string) shape.Column {
	var out shape.Column
	for _, value := range values {
		out.Add(dialect.Builtin()[2], value)
	}
	return out
}

// repeated gives a value as often as asked for, then others.
func repeated(value string, times int, others ...string) []string {
	return append(strings.Fields(strings.Repeat(value+" ", times)), others...)
}

func TestCandidates(t *testing.T) {
	for name, test := range map[string]struct {
		values []string
		want   []dialect.Field
	}{
		"devices":             {[]string{"SEP000AB8001C40", "000ab8001c41", "00:0a:b8:00:1c:42", ""}, []dialect.Field{dialect.Device}},
		"twelve digits":       {[]string{"000000000001"}, []dialect.Field{dialect.Device}},
		"key sizes":           {[]string{"512", "1024", "512"}, []dialect.Field{dialect.KeySize}},
		"sizes or strings":    {[]string{"1024", "2048", "1024"}, []dialect.Field{dialect.AuthenticationString, dialect.KeySize}},
		"strings":             {[]string{"1024", "4711", "12345678"}, []dialect.Field{dialect.AuthenticationString}},
		"one 512 in ten":      {repeated("1024", 9, "512"), []dialect.Field{dialect.AuthenticationString, dialect.KeySize}},
		"one 512 in nine":     {repeated("1024", 8, "512"), []dialect.Field{dialect.KeySize}},
		"operations":          {[]string{"install", "Delete", "none", "-"}, []dialect.Field{dialect.Operation}},
		"operation or state":  {[]string{"none", "none"}, []dialect.Field{dialect.Operation, dialect.State}},
		"states":              {[]string{"Upgrade Success", "none", "Operation Pending"}, []dialect.Field{dialect.State}},
		"modes":               {[]string{"By Null String", "string"}, []dialect.Field{dialect.AuthenticationMode}},
		"times":               {[]string{"2005-03-04 05:06:07", "13/01/2005 10:00"}, []dialect.Field{dialect.StatusTime}},
		"text":                {[]string{"Lobby", "Floor 1"}, nil},
		"nothing":             {[]string{"", "-", "n/a"}, nil},
		"too few of a shape":  {repeated("install", 8, "x", "y"), nil},
		"enough of one shape": {repeated("install", 9, "x"), []dialect.Field{dialect.Operation}},
	} {
		column := columnOf(test.values...)
		if diff := cmp.Diff(test.want, column.Candidates()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestJudge(t *testing.T) {
	devices, sizes, strings := columnOf("SEP000AB8001C40"), columnOf("1024", "2048"), columnOf("4711", "0042")
	none, operations, states := columnOf("none"), columnOf("install"), columnOf("pending")
	times, text := columnOf("2005-03-04 05:06:07"), columnOf("Lobby")
	for name, test := range map[string]struct {
		columns []shape.Column
		want    string
	}{
		"all known":                    {[]shape.Column{text, devices, operations, states, times}, "[{ []} {device []} {operation []} {state []} {status-time []}]"},
		"open":                         {[]shape.Column{devices, sizes}, "[{device []} { [authentication-string key-size]}]"},
		"what another column must be":  {[]shape.Column{sizes, strings}, "[{key-size []} {authentication-string []}]"},
		"none with operations":         {[]shape.Column{none, operations}, "[{state []} {operation []}]"},
		"none alone":                   {[]shape.Column{none}, "[{ [operation state]}]"},
		"none beside both":             {[]shape.Column{none, operations, states}, "[{ [state]} {operation []} { [state]}]"},
		"two of devices":               {[]shape.Column{devices, devices}, "[{ [device]} { [device]}]"},
		"two of times":                 {[]shape.Column{times, times}, "[{ [status-time completes-by]} { [status-time completes-by]}]"},
		"two that could be either":     {[]shape.Column{sizes, sizes}, "[{ [authentication-string key-size]} { [authentication-string key-size]}]"},
		"a chain of what is left over": {[]shape.Column{none, states, sizes, strings}, "[{operation []} {state []} {key-size []} {authentication-string []}]"},
	} {
		if got := fmt.Sprint(shape.Judge(test.columns)); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// A column of any values stays small, and the order of dates is that of all of them.
func TestColumnStaysSmall(t *testing.T) {
	var column shape.Column
	d := dialect.Builtin()[2]
	for i := range 100_000 {
		column.Add(d, fmt.Sprintf("%d/%d/2005 10:00", i%28+1, i%12+1))
	}
	if column.Filled != 100_000 || column.Fits(dialect.StatusTime) != 100_000 || column.Dates.Order() != dialect.DayFirst {
		t.Errorf("%d values, %d times, %q", column.Filled, column.Fits(dialect.StatusTime), column.Dates.Order())
	}
	if allocated := testing.AllocsPerRun(100, func() { column.Add(d, "SEP000AB8001C40") }); allocated > 8 {
		t.Errorf("%v allocations a value", allocated)
	}
}
