package ctl

import (
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Candidate is a security token that may sign a list. Its key is opened when it is to sign, and not before.
type Candidate struct {
	Name        string // the administrator's name for it
	Certificate *x509.Certificate
	// Open gives the token with its key. Nil: it is to leave the list with this one, and cannot sign it.
	Open func() (*Token, error)
}

// Succession is a list that is to be made, and the one that it follows.
type Succession struct {
	Contents   Contents
	Candidates []Candidate // in the order in which they are tried
	// Previous is the list that phones hold; nil: they hold none. A new one must be signed by a SAST of it
	// (ctl-format.md, "Rules").
	Previous []byte
	// StartOver makes a list also where no SAST of the previous one can sign it.
	StartOver bool

	after time.Time // the earliest that the list may be dated
}

// Successor is a list that was made.
type Successor struct {
	Raw    []byte
	Signer Candidate
	// Broken says why phones that hold the previous list do not take this one; nil: they do. It is there only where
	// the succession is to start over.
	Broken error
	// Dated is the list's time, where it is not the one that was asked for, since that is before the previous list's; zero
	// otherwise.
	Dated time.Time
	// Passed are the tokens that would have done before the signer, and why they could not sign.
	Passed []Needed
}

// Needed is a token whose signature phones would take, and why it cannot sign.
type Needed struct {
	ID   SignerID
	Name string // of the candidate; empty: it is none
	Err  error  // nil: it is no candidate
}

// String describes it in a part of a line.
func (n Needed) String() string {
	switch {
	case n.Name == "":
		return fmt.Sprintf("%s, which is none of your tokens", n.ID)
	case n.Err == nil:
		return fmt.Sprintf("%s (%s)", n.Name, n.ID)
	}
	return fmt.Sprintf("%s (%s): %v", n.Name, n.ID, n.Err)
}

// NoSignerError says that no token can sign, and which would do.
type NoSignerError struct{ Tokens []Needed }

// Error names all tokens that would do, each with what is the matter with it.
func (e *NoSignerError) Error() string {
	if len(e.Tokens) == 0 {
		return "no security token can sign: there is none that would do"
	}
	var each []string
	for _, token := range e.Tokens {
		each = append(each, token.String())
	}
	return "no security token can sign: phones take a list that is signed by one of these: " + strings.Join(each, "; ")
}

// Unwrap gives what is the matter with each.
func (e *NoSignerError) Unwrap() []error {
	var each []error
	for _, token := range e.Tokens {
		if token.Err != nil {
			each = append(each, token.Err)
		}
	}
	return each
}

var errLeaves = errors.New("it is to leave the list with this one; keep it in until phones hold a list with the others")

// Build makes the list. It is signed by the first candidate that is a SAST of the previous list and can sign, and the
// signature was checked with the certificate in that list: phones that hold it take the new one. Where the clock is behind
// the previous list's time, ours or its maker's being wrong, the new one has that same time. Where none can, the
// error is a *NoSignerError; or, to start over, another candidate signs. Errors of the contents are Problems.
func (s *Succession) Build() (*Successor, error) {
	if err := s.Contents.Validate(); err != nil {
		return nil, fmt.Errorf("contents of the list: %w", err)
	}
	fit, others, strangers, err := s.sort()
	if err != nil {
		return nil, err
	}
	var dated time.Time
	if len(fit) > 0 && s.Contents.Timestamp.Before(s.after) {
		dated, s.Contents.Timestamp = s.after, s.after
	}
	var needed []Needed
	for _, candidate := range fit {
		raw, err := s.signedBy(candidate)
		if err == nil {
			return &Successor{Raw: raw, Signer: candidate, Dated: dated, Passed: needed}, nil
		}
		id, _ := idOf(candidate.Certificate)
		needed = append(needed, Needed{ID: id, Name: candidate.Name, Err: err})
		if errors.Is(err, ErrNotSuccessor) { // it can sign, but something else is wrong
			others = append(others, candidate)
		}
	}
	refusal := &NoSignerError{Tokens: append(needed, strangers...)}
	if !s.StartOver {
		return nil, refusal
	}
	return s.startOver(others, refusal)
}

// sort tells the candidates that are tokens of the previous list from the others, and gives those tokens of it that are
// no candidates.
func (s *Succession) sort() (fit, others []Candidate, strangers []Needed, err error) {
	if s.Previous == nil {
		return s.Candidates, nil, nil, nil
	}
	previous, err := Decode(s.Previous)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("the list that phones hold: %w", err)
	}
	known := map[*Record]bool{}
	s.Contents.SpellAs(previous)
	s.after = previous.Header.Timestamp
	for _, candidate := range s.Candidates {
		record := previous.sastOf(candidate.Certificate)
		if record == nil {
			others = append(others, candidate)
			continue
		}
		known[record] = true
		fit = append(fit, candidate)
	}
	for _, record := range previous.RecordsOf(RoleSAST) {
		if !known[record] {
			strangers = append(strangers, Needed{ID: record.ID})
		}
	}
	return fit, others, strangers, nil
}

// SpellAs has the tokens named as a list that phones hold, or will hold, names them. A record of that which is wrong
// about its own certificate is left alone: a list with such a one would not verify.
func (c *Contents) SpellAs(list *File) {
	c.Tokens = slices.Clone(c.Tokens)
	for i := range c.Tokens {
		token := &c.Tokens[i]
		if record := list.sastOf(token.Certificate); record != nil && record.namesAgree(token.Certificate) == nil {
			token.ID = &record.ID
		}
	}
}

// sastOf gives the record by which phones that hold the list know a token: its certificate, however its names are
// written there, or another one of the same name, serial number and key. Nil where there is none.
func (f *File) sastOf(certificate *x509.Certificate) *Record {
	if certificate == nil {
		return nil
	}
	id, err := idOf(certificate)
	if err != nil {
		return nil
	}
	for _, record := range f.RecordsOf(RoleSAST) {
		listed, err := record.ParseCertificate()
		if err != nil {
			continue
		}
		if listed.Equal(certificate) {
			return record
		}
		if !record.ID.Equal(id) {
			continue
		}
		if key, ok := listed.PublicKey.(*rsa.PublicKey); ok && key.Equal(certificate.PublicKey) {
			return record
		}
	}
	return nil
}

// signedBy makes the list with a signer, and sees that phones with the previous one take it.
func (s *Succession) signedBy(candidate Candidate) ([]byte, error) {
	if candidate.Open == nil {
		return nil, errLeaves
	}
	token, err := candidate.Open()
	if err != nil {
		return nil, err
	}
	raw, err := Build(s.Contents, token)
	if err != nil || s.Previous == nil {
		return raw, err
	}
	return raw, VerifySuccession(raw, s.Previous)
}

// startOver makes the list with whoever can sign.
func (s *Succession) startOver(candidates []Candidate, refusal *NoSignerError) (*Successor, error) {
	for _, candidate := range candidates {
		if candidate.Open == nil {
			continue
		}
		// What phones find wrong with it, and nothing else, is what is accepted here.
		raw, err := s.signedBy(candidate)
		if errors.Is(err, ErrNotSuccessor) {
			return &Successor{Raw: raw, Signer: candidate, Broken: refusal, Passed: refusal.Tokens}, nil
		}
		id, _ := idOf(candidate.Certificate)
		refusal.Tokens = append(refusal.Tokens, Needed{ID: id, Name: candidate.Name, Err: err})
	}
	return nil, refusal
}
