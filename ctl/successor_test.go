package ctl

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"
)

func candidate(name string, token *Token) Candidate {
	return Candidate{Name: name, Certificate: token.Certificate, Open: func() (*Token, error) { return token, nil }}
}

func lost(name string, token *Token) Candidate {
	return Candidate{Name: name, Certificate: token.Certificate, Open: func() (*Token, error) { return nil, errors.New("lies in the sea") }}
}

func leaving(name string, token *Token) Candidate {
	return Candidate{Name: name, Certificate: token.Certificate}
}

// TestSuccession goes through what may happen to the two tokens of a list in the field.
func TestSuccession(t *testing.T) {
	first, second, third, fourth := loadToken(t, "1024"), loadToken(t, "2048"), loadToken(t, "4096"), loadToken(t, "512")
	previous := mustBuild(t, sampleContents(t), first)
	for name, test := range map[string]struct {
		candidates []Candidate
		previous   []byte
		startOver  bool
		earlier    bool // the clock says less than the previous list
		want       string
		broken     bool
		refused    []string // in the error
	}{
		"no list before":               {candidates: []Candidate{candidate("third", third), candidate("first", first)}, want: "third"},
		"no list, the first is away":   {candidates: []Candidate{lost("third", third), candidate("first", first)}, want: "first"},
		"no list, all are away":        {candidates: []Candidate{lost("third", third), lost("first", first)}, refused: []string{"third", "first", "lies in the sea"}},
		"add one":                      {candidates: []Candidate{candidate("third", third), candidate("first", first), candidate("second", second)}, previous: previous, want: "first"},
		"lose one":                     {candidates: []Candidate{leaving("first", first), candidate("second", second), candidate("third", third)}, previous: previous, want: "second"},
		"one is away":                  {candidates: []Candidate{lost("first", first), candidate("second", second)}, previous: previous, want: "second"},
		"one that is known by no list": {candidates: []Candidate{candidate("third", third), candidate("second", second)}, previous: previous, want: "second"},
		"replace both at once": {candidates: []Candidate{leaving("first", first), leaving("second", second), candidate("third", third), candidate("fourth", fourth)}, previous: previous,
			refused: []string{`first ("CN=SAST-1024`, `second ("CN=SAST-2048`, "is to leave the list"}},
		"none is left": {candidates: []Candidate{candidate("third", third), lost("second", second), candidate("fourth", fourth)}, previous: previous,
			refused: []string{"second", "lies in the sea", `"CN=SAST-1024`, "none of your tokens"}},
		"start over":                                  {candidates: []Candidate{candidate("third", third), lost("second", second)}, previous: previous, startOver: true, want: "third", broken: true},
		"start over where that is not due":            {candidates: []Candidate{candidate("third", third), candidate("second", second)}, previous: previous, startOver: true, want: "second"},
		"start over, nobody can sign":                 {candidates: []Candidate{lost("third", third), leaving("second", second)}, previous: previous, startOver: true, refused: []string{"third", "second", "CN=SAST-1024"}},
		"the clock is behind":                         {candidates: []Candidate{candidate("first", first)}, previous: previous, earlier: true, want: "first"},
		"start over with the clock behind":            {candidates: []Candidate{candidate("first", first)}, previous: previous, earlier: true, startOver: true, want: "first"},
		"start over from strangers, the clock behind": {candidates: []Candidate{candidate("third", third)}, previous: previous, earlier: true, startOver: true, want: "third", broken: true},
		"the previous list cannot be read":            {candidates: []Candidate{candidate("first", first)}, previous: []byte("no list"), refused: []string{"the list that phones hold", "byte"}},
		"a previous list without its token":           {candidates: []Candidate{candidate("first", renumbered(t, first))}, previous: previous, refused: []string{"none of your tokens"}},
	} {
		t.Run(name, func(t *testing.T) {
			contents := sampleContents(t)
			contents.Tokens = nil
			for _, one := range test.candidates {
				if one.Open != nil {
					contents.Tokens = append(contents.Tokens, SAST{Name: one.Name, Certificate: one.Certificate})
				}
			}
			contents.SingleToken = true
			if test.earlier {
				contents.Timestamp = contents.Timestamp.Add(-time.Second)
			}
			succession := Succession{Contents: contents, Candidates: test.candidates, Previous: test.previous, StartOver: test.startOver}
			made, err := succession.Build()
			if test.want == "" {
				checkRefused(t, made, err, test.refused)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			checkSuccessor(t, made, test.previous, test.want, test.broken)
			if moved := test.earlier && !test.broken; moved == made.Dated.IsZero() || moved && !made.Dated.Equal(sampleContents(t).Timestamp) {
				t.Errorf("dated %v", made.Dated)
			}
		})
	}
}

// renumbered is a token whose certificate has another serial number than in lists.
func renumbered(t *testing.T, token *Token) *Token {
	t.Helper()
	template := *token.Certificate
	template.SerialNumber, template.SignatureAlgorithm = new(big.Int).Add(template.SerialNumber, big.NewInt(1)), x509.SHA256WithRSA
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, token.Signer.Public(), token.Signer)
	if err != nil {
		t.Fatal(err)
	}
	return &Token{Certificate: certificateOf(t, der), Signer: token.Signer}
}

// TestSuccessionSpellsAsBefore follows a list of another maker, who writes names and serial numbers otherwise: the token
// is known by its certificate, and named as phones know it.
func TestSuccessionSpellsAsBefore(t *testing.T) {
	first, second := loadToken(t, "1024"), loadToken(t, "2048")
	const name = `o=Example;ou="Security Tokens";cn=SAST-1024`
	foreign := func(subject string) []byte {
		file, err := Decode(goldens(t)[0])
		if err != nil {
			t.Fatal(err)
		}
		serial := append([]byte{0}, SerialBytes(first.Certificate)...)
		replace(t, file.Elements, TagSignerName, text(subject))
		replace(t, file.Elements, TagSignerSerial, serial)
		replace(t, file.Records[0].Elements, TagSubject, text(subject))
		replace(t, file.Records[0].Elements, TagSerial, serial)
		return resign(t, file, first)
	}
	contents := sampleContents(t)
	previous := foreign(name)
	for range 2 { // the second follows ours
		contents.Timestamp = contents.Timestamp.Add(time.Second)
		succession := Succession{Contents: contents, Candidates: []Candidate{candidate("first", first), candidate("second", second)}, Previous: previous}
		made, err := succession.Build()
		if err != nil {
			t.Fatal(err)
		}
		checkSuccessor(t, made, previous, "first", false)
		verified, err := Verify(made.Raw)
		if err != nil || verified.File.Header.Signer.Subject != name || !verified.SAST.ID.Equal(verified.File.Header.Signer) || verified.SAST.ID.Serial[0] != 0 {
			t.Fatalf("%v, %v", verified.File.Header.Signer, err)
		}
		if contents.Tokens[0].ID != nil {
			t.Error("the caller's contents were changed")
		}
		previous = made.Raw
	}
	succession := Succession{Contents: contents, Candidates: []Candidate{candidate("first", first)}, Previous: foreign("CN=somebody else")}
	_, err := succession.Build()
	if refused := new(NoSignerError); !errors.As(err, &refused) || !errors.Is(err, ErrNotSuccessor) {
		t.Errorf("a list that is wrong about its token is followed: %v", err)
	}
}

func checkRefused(t *testing.T, made *Successor, err error, want []string) {
	t.Helper()
	if err == nil || made != nil {
		t.Fatalf("made %v", made)
	}
	for _, words := range want {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%v does not say %q", err, words)
		}
	}
}

func checkSuccessor(t *testing.T, made *Successor, previous []byte, signer string, broken bool) {
	t.Helper()
	if made.Signer.Name != signer || (made.Broken != nil) != broken {
		t.Fatalf("signed by %s, broken: %v", made.Signer.Name, made.Broken)
	}
	verified, err := Verify(made.Raw)
	if err != nil || !verified.Certificate.Equal(made.Signer.Certificate) {
		t.Errorf("%v, %v", verified, err)
	}
	if previous == nil {
		return
	}
	if err := VerifySuccession(made.Raw, previous); (err != nil) != broken {
		t.Errorf("phones with the list before: %v", err)
	}
}

// TestSuccessionOpensNoMoreThanItMust holds that tokens that would not do are left alone: opening one asks for a PIN.
func TestSuccessionOpensNoMoreThanItMust(t *testing.T) {
	first, second, third := loadToken(t, "1024"), loadToken(t, "2048"), loadToken(t, "4096")
	previous := mustBuild(t, sampleContents(t), first)
	var opened []string
	watched := func(name string, token *Token) Candidate {
		one := candidate(name, token)
		return Candidate{Name: name, Certificate: one.Certificate, Open: func() (*Token, error) { opened = append(opened, name); return one.Open() }}
	}
	contents := sampleContents(t)
	contents.Tokens = append(contents.Tokens, SAST{Name: "third", Certificate: third.Certificate})
	succession := Succession{Contents: contents, Candidates: []Candidate{watched("third", third), watched("second", second), watched("first", first)}, Previous: previous}
	if made, err := succession.Build(); err != nil || made.Signer.Name != "second" {
		t.Fatal(made, err)
	}
	if strings.Join(opened, " ") != "second" {
		t.Errorf("opened %v", opened)
	}
	succession.Contents.Servers = nil
	if _, err := succession.Build(); err == nil || len(opened) != 1 {
		t.Errorf("contents that cannot be built: opened %v, %v", opened, err)
	}
}

// TestSuccessionPassesOver has a signer in the field that is too short for SHA-512, and one that is not.
func TestSuccessionPassesOver(t *testing.T) {
	short, second := loadToken(t, "512"), loadToken(t, "2048")
	contents := sampleContents(t)
	contents.Tokens = []SAST{{Name: "short", Certificate: short.Certificate}, {Name: "second", Certificate: second.Certificate}}
	previous := mustBuild(t, contents, short)
	contents.Digest = SHA512
	succession := Succession{Contents: contents, Candidates: []Candidate{candidate("short", short), candidate("second", second)}, Previous: previous}
	made, err := succession.Build()
	if err != nil || made.Signer.Name != "second" || len(made.Passed) != 1 || !strings.Contains(made.Passed[0].String(), "at least") {
		t.Fatal(made, err)
	}
}
