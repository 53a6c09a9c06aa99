package dialect_test

import (
	"errors"
	"strings"
	"testing"

	"capf/legacy/dialect"
)

// reading makes a reading from the numbers of the lines read and unread.
func reading(name string, structure error, read, unread []int) *dialect.Reading {
	out := &dialect.Reading{Dialect: &dialect.Dialect{Name: name}, Structure: structure}
	out.MarkRead(read...)
	for _, line := range unread {
		out.MarkUnread(line, "bad")
	}
	return out
}

func withHeader(from *dialect.Reading, line int) *dialect.Reading {
	from.MarkHeader(line)
	return from
}

func lines(from, to int) (out []int) {
	for ; from <= to; from++ {
		out = append(out, from)
	}
	return out
}

func TestChoose(t *testing.T) {
	broken := errors.New("no header line")
	tests := []struct {
		name     string
		readings []*dialect.Reading
		chosen   string
		problem  string
	}{
		{
			"the only one with the structure",
			[]*dialect.Reading{reading("a", nil, lines(1, 20), nil), reading("b", broken, nil, lines(1, 20))}, "a", "",
		},
		{
			"nine lines in ten",
			[]*dialect.Reading{reading("a", nil, lines(1, 9), lines(10, 10))}, "a", "",
		},
		{
			"fewer than nine in ten",
			[]*dialect.Reading{reading("a", nil, lines(1, 8), lines(9, 9))},
			"", "CAPF.phone: no dialect fits: a: reads 8 of 9 lines, fewer than nine in ten: line 9: bad",
		},
		{
			"another reads a line that it cannot",
			[]*dialect.Reading{reading("a", nil, lines(1, 199), lines(200, 200)), reading("b", broken, lines(200, 200), lines(1, 199))},
			"", "a: line 200 is read by b only; b: no header line",
		},
		{
			"another understands the header that it cannot",
			[]*dialect.Reading{withHeader(reading("a", nil, lines(2, 21), nil), 1), reading("b", nil, lines(2, 21), lines(1, 1))}, "a", "",
		},
		{
			"both cannot read the same line",
			[]*dialect.Reading{reading("a", nil, lines(1, 19), lines(20, 20)), reading("b", broken, nil, lines(1, 20))}, "a", "",
		},
		{
			"two fit",
			[]*dialect.Reading{reading("a", nil, lines(1, 5), nil), reading("b", nil, lines(1, 5), nil)},
			"", "more than one dialect fits (a, b): choose its form in one of your own",
		},
		{
			"one reads more",
			[]*dialect.Reading{reading("a", nil, lines(1, 19), lines(20, 20)), reading("b", nil, lines(1, 20), nil)}, "b", "",
		},
		{"nothing to read", []*dialect.Reading{reading("a", nil, nil, nil), reading("b", nil, nil, nil)}, "", ""},
		{"only the first lines are named", []*dialect.Reading{reading("a", nil, nil, lines(1, 50))}, "", "line 3: bad: describe the file in one (`capf migrate dialect SOURCE` prints one"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			chosen, err := dialect.Choose("CAPF.phone", test.readings)
			name := ""
			if chosen != nil {
				name = chosen.Name
			}
			if name != test.chosen || (err == nil) != (test.problem == "") {
				t.Fatalf("chose %q, %v", name, err)
			}
			if err != nil && !strings.Contains(err.Error(), test.problem) {
				t.Errorf("error %q lacks %q", err, test.problem)
			}
		})
	}
}
