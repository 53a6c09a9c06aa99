package ctl

import (
	"errors"
	"testing"
)

func TestBuildSuccessorChoosesTheSigner(t *testing.T) {
	first, second, stranger := loadToken(t, "1024"), loadToken(t, "2048"), loadToken(t, "4096")
	contents := sampleContents(t)
	contents.Tokens = []SAST{{Name: "first", Certificate: first.Certificate}, {Name: "second", Certificate: second.Certificate}, {Name: "stranger", Certificate: stranger.Certificate}}
	before := contents
	before.Tokens = contents.Tokens[:2]
	previous := mustBuild(t, before, first)
	short := loadToken(t, "512")
	contents.Tokens = append(contents.Tokens, SAST{Name: "short", Certificate: short.Certificate})
	for name, test := range map[string]struct {
		signers  []*Token
		previous []byte
		digest   Digest
		want     *Token
		refused  bool
	}{
		"no list before":                 {[]*Token{stranger, first}, nil, SHA1, stranger, false},
		"a token of the list before":     {[]*Token{stranger, second, first}, previous, SHA1, second, false},
		"none of them":                   {[]*Token{stranger}, previous, SHA1, stranger, true},
		"one that cannot is passed over": {[]*Token{short, second}, previous, SHA512, second, false},
	} {
		t.Run(name, func(t *testing.T) {
			contents := contents
			contents.Digest = test.digest
			raw, signer, refused, err := BuildSuccessor(contents, test.signers, test.previous)
			if err != nil || signer != test.want || (refused != nil) != test.refused {
				t.Fatalf("signed by %v, refused %v, %v", signer, refused, err)
			}
			if refused != nil && !errors.Is(refused, ErrNotSuccessor) {
				t.Error(refused)
			}
			verified, err := Verify(raw)
			if err != nil || !verified.Certificate.Equal(test.want.Certificate) {
				t.Errorf("signed by %v, %v", verified, err)
			}
		})
	}
}

func TestBuildSuccessorWithoutASigner(t *testing.T) {
	contents := sampleContents(t)
	contents.Digest = SHA512
	contents.Tokens = append(contents.Tokens, SAST{Name: "short", Certificate: loadToken(t, "512").Certificate})
	for name, signers := range map[string][]*Token{"none": nil, "one that cannot": {loadToken(t, "512")}} {
		if raw, _, _, err := BuildSuccessor(contents, signers, nil); err == nil || raw != nil {
			t.Errorf("%s: %d bytes, %v", name, len(raw), err)
		}
	}
}
