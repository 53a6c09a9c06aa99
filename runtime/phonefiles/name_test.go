package phonefiles

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for requested, want := range map[string]Kind{
		"/CTLFile.tlv":                     KindCTL,
		"/CTLSEP001122334455.tlv":          KindCTL,
		"/CTLCSFALICE.tlv":                 KindCTL,
		"/ITLFile.tlv":                     KindITL,
		"/ITLSEP0011223344AA.tlv":          KindITL,
		"/SEP001122334455.cnf.xml":         KindConfig,
		"/sep001122334455.cnf.xml":         KindConfig, // another file than that with capitals
		"/SEP001122334455.cnf.xml.sgn":     KindConfig,
		"/SEP001122334455.cnf.xml.enc.sgn": KindConfig,
		"/XMLDefault.cnf.xml":              KindConfig,
		"/CSF.alice_1-a.cnf.xml":           KindConfig,
		"":                                 KindOther,
		"/":                                KindOther,
		"*":                                KindOther,
		"CTLFile.tlv":                      KindOther,
		"//CTLFile.tlv":                    KindOther,
		"/./CTLFile.tlv":                   KindOther,
		"/CTLFile.tlv/":                    KindOther,
		"/CTLFile.tlv?":                    KindOther,
		"/CTLFile.tlv?x=1":                 KindOther,
		"/CTLFile.tlv.old":                 KindOther,
		"/ctlfile.tlv":                     KindOther,
		"/CTL.tlv":                         KindOther,
		"/.tlv":                            KindOther,
		"/CTLSEP00:11:22:33:44:55.tlv":     KindOther,
		"/CTL001122334455.tlv":             KindOther, // SEP is missing
		"/http://192.0.2.1/CTLFile.tlv":    KindOther,
		"http://192.0.2.1/CTLFile.tlv":     KindOther,
		"/../CTLFile.tlv":                  KindOther,
		"/%2e%2e/CTLFile.tlv":              KindOther,
		"/CTLFile%2etlv":                   KindOther,
		`/..\SEP001122334455.cnf.xml`:      KindOther,
		"/a/SEP001122334455.cnf.xml":       KindOther,
		"/.cnf.xml":                        KindOther,
		"/..cnf.xml":                       KindOther,
		"/.hidden.cnf.xml":                 KindOther,
		"/0..cnf.xml":                      KindOther, // a device may end with a dot, a file may not have two
		"/a..b.cnf.xml":                    KindOther,
		"/SEP001122334455.cnf.xml\x00.tlv": KindOther,
		"/SEP001122334455.cnf.xml.enc":     KindOther,
		"/SEP001122334455.cnf.xml.old":     KindOther,
		"/capf.db":                         KindOther,
		"/" + strings.Repeat("A", 64) + ".cnf.xml":     KindConfig,
		"/" + strings.Repeat("A", 65) + ".cnf.xml":     KindOther,
		"/" + strings.Repeat("A/", 1<<20) + ".cnf.xml": KindOther,
		"/CTL" + strings.Repeat("A", 1<<20) + ".tlv":   KindOther,
		"/SEP001122334455.cnf.xml\r\nX-Injected: yes":  KindOther,
		"/S\u0415P001122334455.cnf.xml":                KindOther, // a Cyrillic letter
	} {
		name, kind := parseName(requested)
		if kind != want {
			t.Errorf("%.60q: %s, want %s", requested, kind, want)
		}
		if kind != KindOther && "/"+name != requested || kind == KindOther && name != "" {
			t.Errorf("%.60q: the file is %q", requested, name)
		}
	}
}

// Whatever is asked for, what is looked at is one name in the folder, as it was asked for.
func FuzzName(f *testing.F) {
	for _, seed := range []string{"/CTLFile.tlv", "/SEP001122334455.cnf.xml", "/../x.cnf.xml", "/%2e.cnf.xml", `/\..cnf.xml`, "/a\x00.cnf.xml"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, requested string) {
		name, kind := parseName(requested)
		switch {
		case kind == KindOther:
			if name != "" {
				t.Errorf("%q gives %q", requested, name)
			}
		case "/"+name != requested || len(name) > maxName || strings.ContainsAny(name, "/\\\x00%: \r\n") || name[0] == '.' || strings.Contains(name, ".."):
			t.Errorf("%q gives %q", requested, name)
		case !strings.HasSuffix(name, ".tlv") && !strings.HasSuffix(name, ".cnf.xml") && !strings.HasSuffix(name, ".sgn"):
			t.Errorf("%q gives %q", requested, name)
		}
	})
}
