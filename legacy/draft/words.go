package draft

import (
	"slices"
	"strings"

	"capf/legacy"
	"capf/legacy/dialect"
)

// mostWords is how many different values of a column are remembered: operations, states and modes are few.
const mostWords = 40

// tally counts different values, the first ones.
type tally struct {
	values []string
	counts map[string]int
	all    int
}

func (t *tally) add(value string) {
	t.all++
	if t.counts[value] == 0 {
		if len(t.values) == mostWords || len(value) > longestWord {
			return
		}
		if t.counts == nil {
			t.counts = map[string]int{}
		}
		value = strings.Clone(value)
		t.values = append(t.values, value)
	}
	t.counts[value]++
}

// tableOf is the table that the words of a field are in.
var tableOf = map[dialect.Field]string{
	dialect.Operation: "operations", dialect.State: "states", dialect.AuthenticationMode: "authentication-modes",
}

func (d *draft) knows(field dialect.Field, word string) (known bool) {
	switch field {
	case dialect.Operation:
		_, known = d.words.Operation(word)
	case dialect.State:
		_, known = d.words.State(word)
	case dialect.AuthenticationMode:
		_, known = d.words.AuthenticationMode(word)
	}
	return known
}

// printWords writes the table of a column's words where it has some that no table knows. If those are fewer than one
// in ten, they are named in a comment, and their lines are left to be kept aside.
func (d *draft) printWords(c *column) {
	var unknown []string
	hidden := 0
	for _, word := range c.words.values {
		if d.knows(c.field, word) {
			continue
		}
		if shown(word) == "" || strings.ContainsAny(word, "0123456789") || legacy.Normalise(word) == "" {
			hidden++
			continue
		}
		unknown = append(unknown, word)
	}
	if len(unknown)+hidden == 0 {
		return
	}
	slices.Sort(unknown)
	if known := c.shape.Fits(c.field); known*10 >= c.words.all*9 {
		d.print("\n# words for the %s that no table knows, in fewer than one record in ten: %s", c.field, list(unknown))
		d.printHidden(hidden)
		return
	}
	d.print("\n[%s]", tableOf[c.field])
	for _, row := range d.words.Words(c.field) {
		d.print("%s = [%s]", row.Meaning, list(row.Words))
	}
	d.print("# Put each of these words into the list above whose meaning it has, and take its line away:")
	for _, word := range unknown {
		d.open++
		d.print("%s-%d = [%s]", dialect.FillIn, d.open, quoted(word))
	}
	d.printHidden(hidden)
}

func (d *draft) printHidden(hidden int) {
	if hidden > 0 {
		d.print("# values of it that are not shown, since they have figures or are long: %d", hidden)
	}
}
