package ctl

import (
	"cmp"
	"errors"
)

// BuildSuccessor builds a list with the first of the signers whose signature makes phones that hold the
// previous list take it. Previous is nil where phones hold none. Where no signer is a token of the previous
// list the first one signs, and refused says what phones would find wrong; err is for everything else.
func BuildSuccessor(contents Contents, signers []*Token, previous []byte) (raw []byte, signer *Token, refused, err error) {
	if len(signers) == 0 {
		return nil, nil, nil, errors.New("no security token can sign: none has its key at hand")
	}
	for _, candidate := range signers {
		built, problem := Build(contents, candidate)
		if problem != nil {
			err = cmp.Or(err, problem)
			continue
		}
		if previous != nil {
			problem = VerifySuccession(built, previous)
		}
		if problem == nil {
			return built, candidate, nil, nil
		}
		if raw == nil {
			raw, signer, refused = built, candidate, problem
		}
	}
	if raw != nil {
		return raw, signer, refused, nil
	}
	return nil, nil, nil, err
}
