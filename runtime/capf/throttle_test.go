package capf_test

import (
	"testing"
	"time"

	"capf/runtime/capf"
)

func TestWrongStringsWait(t *testing.T) {
	for name, test := range map[string]struct {
		wrong capf.WrongStrings
		wait  time.Duration
	}{
		"none":                            {capf.WrongStrings{}, 0},
		"nine":                            {capf.WrongStrings{InAll: 9, Last: noon, FromAddress: 9, LastByAddress: noon}, 0},
		"ten from the address":            {capf.WrongStrings{InAll: 10, Last: noon, FromAddress: 10, LastByAddress: noon}, 10 * time.Minute},
		"eleven, after the wait":          {capf.WrongStrings{InAll: 11, Last: noon, FromAddress: 11, LastByAddress: noon}, 0},
		"ten from another address":        {capf.WrongStrings{InAll: 10, Last: noon}, 0},
		"thirty from others":              {capf.WrongStrings{InAll: 30, Last: noon}, 10 * time.Minute},
		"both, the longer counts":         {capf.WrongStrings{InAll: 30, Last: noon.Add(time.Minute), FromAddress: 10, LastByAddress: noon}, 11 * time.Minute},
		"ten from the address, long past": {capf.WrongStrings{InAll: 10, FromAddress: 10, LastByAddress: noon.Add(-10 * time.Minute), Last: noon.Add(-10 * time.Minute)}, 0},
	} {
		until := test.wrong.WaitUntil(noon)
		if test.wait == 0 && !until.IsZero() || test.wait > 0 && !until.Equal(noon.Add(test.wait)) {
			t.Errorf("%s: wait until %s", name, until)
		}
	}
	if (capf.WrongStrings{InAll: 49}).Exhausted() || !(capf.WrongStrings{InAll: 50}).Exhausted() {
		t.Error("fifty in all")
	}
}
