package dialect

import (
	"strings"
	"testing"
	"time"
)

// clockValues are times as old files write them, and what is nearly one.
var clockValues = []string{
	"2005-03-01 08:15:00", "2005-03-01 8:15:00", "2005-03-01  08:15:00", "2005-03-01T08:15:00", "2005-03-01T08:15:00Z", "2005-03-01T08:15:00+02:00",
	"2005-03-01 08:15", "2005-03-01  08:15", "2005-03-01 08:15:00.25", "2005-3-1 08:15:00", "2005/03/01 08:15:00", "20050301081500", "01.03.2005 08:15:00",
	"01.03.2005 08:15", "1.3.2005 08:15", "1 Mar 2005 08:15:00", "Mar  1, 2005 08:15:00", "Mar 1, 2005 8:15:00 AM", "Tue Mar  1 08:15:00 2005", "2005-03-01",
	"08:15", "", "-", "2005", "2005-03-01 08:15:00 ", "2005-03-01\t08:15:00", "２005-03-01 08:15:00", "2005-03-01 24:00:00", "0000-00-00 00:00:00",
}

func builtinLayouts(t testing.TB) (all []layout) {
	t.Helper()
	for _, one := range Builtin() {
		all = append(all, one.clock.layouts...)
	}
	for _, text := range []string{"02-01-2006 15:04:05", "2006.01.02 15:04", "15:04:05 02.01.2006", "2006-01-02 03:04:05 PM", "1/2/2006 15:04"} {
		made, err := newLayout(text)
		if err == nil {
			all = append(all, made)
		}
	}
	return all
}

// TestMarks: what is told at a glance is what time.Parse would say.
func TestMarks(t *testing.T) {
	passed := 0
	for _, layout := range builtinLayouts(t) {
		for _, value := range clockValues {
			checkMark(t, layout, value)
			if layout.mark == markOf(value) {
				passed++
			}
		}
	}
	if all := len(builtinLayouts(t)) * len(clockValues); passed == 0 || passed > all*2/3 {
		t.Errorf("%d of %d pairs may fit", passed, all)
	}
}

func checkMark(t *testing.T, layout layout, value string) {
	t.Helper()
	if _, err := time.Parse(layout.text, value); err == nil && layout.mark != markOf(value) {
		t.Errorf("%q is read by %q, and told not to be", value, layout.text)
	}
}

func FuzzMarks(f *testing.F) {
	for _, value := range clockValues {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, layout := range builtinLayouts(t) {
			checkMark(t, layout, strings.TrimSpace(value))
		}
	})
}
