package phonelist

import (
	"fmt"
	"slices"

	"capf/legacy"
)

// field is what a column means.
type field string

const (
	device      field = "device"
	description field = "description"
	operation   field = "operation"
	state       field = "state"
	stateText   field = "state text" // the outcome in words, beside the state in one word
	mode        field = "authentication mode"
	authString  field = "authentication string"
	keySize     field = "key size"
	ecKeySize   field = "EC key size"
	keyOrder    field = "key order"
	statusTime  field = "status time"
	completesBy field = "completes by"
)

// names are those of columns, as normalised, by what they mean: of two in one list the one that stands first here is
// read. Those of cli.md are ours; the others are what CallManager calls them on its pages and in its files.
var names = map[field][]string{
	device:      {"device", "devicename", "phonename", "phone", "macaddress", "mac"},
	description: {"devicedescription", "description"},
	operation:   {"certificateoperation", "capfoperation", "operation"},
	state:       {"certificateoperationstatus", "capfoperationstatus", "operationstatus", "status"},
	stateText:   {"statustext"},
	mode:        {"authenticationmode", "authmode"},
	authString:  {"authenticationstring", "authstring"},
	keySize:     {"rsakeysizebits", "rsakeysize", "keysizebits", "keysize"},
	ecKeySize:   {"eckeysizebits", "eckeysize"},
	keyOrder:    {"keyorder"},
	statusTime:  {"statustime", "lastoperationtime", "operationtime"},
	completesBy: {"operationcompletesby", "completesby", "operationcompletiontime"},
}

type column struct {
	name  string
	field field  // empty: no meaning to us
	why   string // there is none though the name is known
	twin  int    // place of another column of the same name, from 1, which is read; 0: there is none
}

// meaningsOf gives each column its field. Of two columns for one field the less exact name is not read.
func meaningsOf(header []string) []column {
	out := make([]column, len(header))
	best := map[field]int{} // place in out
	for i, name := range header {
		out[i].name = name
		meaning, rank := fieldOf(name)
		if meaning == "" {
			continue
		}
		other, taken := best[meaning]
		if !taken {
			out[i].field, best[meaning] = meaning, i
			continue
		}
		if _, otherRank := fieldOf(header[other]); otherRank <= rank {
			out[i].why = " (read from " + legacy.MaskText(header[other]) + ")"
			if otherRank == rank {
				out[i].twin = other + 1
			}
			continue
		}
		out[other].field, out[other].why = "", " (read from "+legacy.MaskText(name)+")"
		out[i].field, best[meaning] = meaning, i
	}
	return out
}

// contradiction names a column that is there twice and says two things; empty: none does.
func contradiction(columns []column, values []string) string {
	for i, c := range columns {
		if c.twin > 0 && values[i] != values[c.twin-1] {
			return fmt.Sprintf("%q is there twice, and says two things", legacy.MaskText(c.name))
		}
	}
	return twoDevices(columns, values)
}

// twoDevices names a column that could be the device and names another phone than the one which is; empty: none does.
func twoDevices(columns []column, values []string) string {
	at := indexOf(columns, device)
	if at < 0 {
		return ""
	}
	taken, valid := legacy.DeviceName(unguarded(values[at]))
	for _, i := range furtherDevices(columns) {
		if other, ok := legacy.DeviceName(unguarded(values[i])); ok && valid && isMAC(taken) && isMAC(other) && other != taken {
			return fmt.Sprintf("%q and %q name two phones, %s and %s", legacy.MaskText(columns[at].name), legacy.MaskText(columns[i].name), taken, other)
		}
	}
	return ""
}

// isMAC tells the name of a phone by its MAC address: any word could be a name of the other kind.
func isMAC(name string) bool { return len(name) == len("SEP000000000000") && name[:3] == "SEP" }

// furtherDevices gives the places of columns that could be the device and are not read as it.
func furtherDevices(columns []column) []int {
	var out []int
	for i, c := range columns {
		if meaning, _ := fieldOf(c.name); meaning == device && c.field != device {
			out = append(out, i)
		}
	}
	return out
}

func fieldOf(name string) (meaning field, rank int) {
	normal := legacy.Normalise(name)
	for meaning, words := range names {
		if rank := slices.Index(words, normal); rank >= 0 {
			return meaning, rank
		}
	}
	return "", 0
}

func indexOf(columns []column, wanted field) int {
	return slices.IndexFunc(columns, func(c column) bool { return c.field == wanted })
}
