package distribute

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// TestListing: who wants to know of a list hears of it before it has its name, and only where there is another one.
func TestListing(t *testing.T) {
	older, newer := list(t, 1000, "1024", "2048"), list(t, 1001, "1024", "2048")
	node, folder := node(t, "pub")
	put(t, folder, "TFTPPath/CTLFile.tlv", older)
	var told []string
	refuse := errors.New("the store is full")
	options := Options{Listing: func(_ context.Context, name string) error {
		if held := readOrEmpty(t, folder, "TFTPPath/CTLFile.tlv"); held != string(older) {
			t.Error("the list is there before anybody was told")
		}
		told = append(told, name)
		return refuse
	}}
	result := one(t, node, payload(t, newer), options)
	if outcomes(result) != "partly new new untouched" || !errors.Is(result.Err, refuse) {
		t.Errorf("%s, %v", outcomes(result), result.Err)
	}
	if held := readOrEmpty(t, folder, "TFTPPath/CTLFile.tlv"); held != string(older) {
		t.Error("the list was replaced though that could not be noted")
	}
	refuse = nil
	if result := one(t, node, payload(t, newer), options); outcomes(result) != "done equal equal replaced" {
		t.Errorf("%s, %v", outcomes(result), result.Err)
	}
	if result := one(t, node, payload(t, newer), options); outcomes(result) != "unchanged equal equal equal" {
		t.Errorf("%s, %v", outcomes(result), result.Err)
	}
	if got := strings.Join(told, " "); got != "pub pub" {
		t.Errorf("told of %q", got)
	}
}
