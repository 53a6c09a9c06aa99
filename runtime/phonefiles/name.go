package phonefiles

import (
	"strings"

	"capf/runtime/capf"
)

// Kind is what a name asks for.
type Kind string

// The kinds.
const (
	KindCTL    Kind = "ctl"    // certificate trust list
	KindITL    Kind = "itl"    // initial trust list, of newer phones
	KindConfig Kind = "config" // configuration file
	KindOther  Kind = "other"  // nothing that is given
)

// Kinds are all of them.
var Kinds = []Kind{KindCTL, KindITL, KindConfig, KindOther}

const (
	listSuffix   = ".tlv"
	everyPhone   = "File" // in the place of a device: the list that every phone may ask for
	maxName      = 100    // bytes; a device has 64 at the most
	typeBinary   = "application/octet-stream"
	typeXML      = "application/xml"
	configSuffix = ".cnf.xml"
)

var listPrefixes = map[string]Kind{"CTL": KindCTL, "ITL": KindITL}

// configSuffixes are those of configuration files: plain, signed, and encrypted and signed by a CallManager.
var configSuffixes = []string{configSuffix, configSuffix + ".sgn", configSuffix + ".enc.sgn"}

// parseName reads what stands in the request line and gives the file that is meant. Nothing is decoded and no case is
// changed: a name has one spelling, and everything else is KindOther, whose name is empty.
func parseName(requested string) (name string, kind Kind) {
	name, rooted := strings.CutPrefix(requested, "/")
	if !rooted || len(name) > maxName || strings.Contains(name, "..") {
		return "", KindOther
	}
	if stem, is := strings.CutSuffix(name, listSuffix); is && len(stem) > 3 {
		kind, of := listPrefixes[stem[:3]], stem[3:]
		if kind != "" && (of == everyPhone || isDevice(of)) {
			return name, kind
		}
	}
	for _, suffix := range configSuffixes {
		if stem, is := strings.CutSuffix(name, suffix); is && isDevice(stem) {
			return name, KindConfig
		}
	}
	return "", KindOther
}

// isDevice takes the name of a device (cli.md, "Values"), or XMLDefault, as it may stand in a file name: letters and
// digits, `.`, `_` and `-`, the first a letter or digit, `..` nowhere.
func isDevice(name string) bool {
	device, err := capf.ParseDevice(name)
	return err == nil && (device == name || strings.EqualFold(device, name)) // not a MAC with separators
}

func contentType(name string) string {
	if strings.HasSuffix(name, configSuffix) {
		return typeXML
	}
	return typeBinary
}
