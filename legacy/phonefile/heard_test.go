package phonefile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"capf/legacy"
	"capf/legacy/dialect"
	"capf/legacy/phonefile"
)

// hearing notes what it hears since the last beginning.
type hearing struct {
	items  []phonefile.Item
	begun  int
	enough int // after so many items it wants no more; 0: all
}

var errEnough = errors.New("enough")

func (h *hearing) Begin() { h.begun, h.items = h.begun+1, nil }

func (h *hearing) Hear(item phonefile.Item) error {
	h.items = append(h.items, item)
	if len(h.items) == h.enough {
		return errEnough
	}
	return nil
}

// What was heard while the form was found out is what the file gives afterwards, or it is said that it was not heard.
func TestHeard(t *testing.T) {
	row := "SEP000AB8001C40,ok,2005-01-02 10:00\n"
	damaged := strings.Repeat(row, 20) + "x\n" + strings.Repeat(row, 3) + "SEP000AB8001C41,o"
	for name, test := range map[string]struct {
		content string
		heard   bool
		begun   int
	}{
		"delimited":       {write(dialect.Delimited, phones(300, "Lobby")), true, 1},
		"damaged":         {"device,state,status time\n" + damaged, true, 1},
		"open dates":      {"device,state,status time\nSEP000AB8001C40,ok,03/04/2005 10:00\nSEP000AB8001C41,ok,13/04/2005 10:00\n", true, 2},
		"another dialect": {write(dialect.Blocks, phones(12, "Lobby")), false, 1},
		"headerless":      {write(dialect.Headerless, phones(12, "Lobby")), false, 1},
		"nothing":         {"", false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			heard := &hearing{}
			file, all, err := phonefile.OpenHeard(legacy.BytesInput("CAPF.phone", []byte(test.content)), dialect.Builtin(), heard)
			if err != nil {
				t.Fatal(err)
			}
			if all != test.heard || heard.begun != test.begun {
				t.Fatalf("heard %t, began %d times", all, heard.begun)
			}
			if !all {
				return
			}
			var items []phonefile.Item
			for item, err := range file.Items() {
				if err != nil {
					t.Fatal(err)
				}
				items = append(items, item)
			}
			if diff := cmp.Diff(texts(items), texts(heard.items)); diff != "" || len(items) < 2 {
				t.Error(diff)
			}
		})
	}
}

// texts shows items with all that they hold, the strings revealed.
func texts(items []phonefile.Item) (out []string) {
	for _, item := range items {
		text := fmt.Sprintf("%s %v", item.Kind, item.Position)
		switch {
		case item.Record != nil:
			text += fmt.Sprintf(" %+v %q %q", *item.Record, item.Record.Bytes, item.Record.AuthenticationString.Reveal())
		case item.Kept != nil:
			text += fmt.Sprintf(" %+v %q", *item.Kept, item.Kept.Bytes)
		case item.Finding != nil:
			text += fmt.Sprintf(" %+v", *item.Finding)
		}
		out = append(out, text)
	}
	return out
}

func TestHearEnough(t *testing.T) {
	content := []byte(write(dialect.Delimited, phones(12, "Lobby")))
	if _, _, err := phonefile.OpenHeard(legacy.BytesInput("CAPF.phone", content), dialect.Builtin(), &hearing{enough: 3}); !errors.Is(err, errEnough) {
		t.Error(err)
	}
}
