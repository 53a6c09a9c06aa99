package session

import (
	"context"
	"hash/maphash"
	"sync"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// Strings counts wrong authentication strings, across restarts.
type Strings interface {
	WrongStrings(ctx context.Context, device string, ref capf.OperationRef, address string) (capf.WrongStrings, error)
	// CountWrongString adds one; the one that exhausts them ends the operation.
	CountWrongString(ctx context.Context, ref capf.OperationRef, attempt capf.Attempt) (capf.WrongStrings, error)
}

// stringLocks let one session of a device compare at a time, so that many at once cannot slip past the count.
type stringLocks struct {
	seed  maphash.Seed
	once  sync.Once
	locks [64]sync.Mutex
}

func (l *stringLocks) of(device string) *sync.Mutex {
	l.once.Do(func() { l.seed = maphash.MakeSeed() })
	return &l.locks[maphash.String(l.seed, device)%uint64(len(l.locks))]
}

// authenticateByString compares what the user typed with the string of the operation, unless too many wrong
// ones came before (B, "Wrong strings"). A refusal that compares nothing is recorded without the lock, so that a
// flood of them holds up nobody.
func (s *session) authenticateByString(ctx context.Context, response wire.AuthenticationResponse) error {
	barred, err := s.isBarred(ctx)
	if err == nil && barred == "" {
		barred, err = s.compare(ctx, response)
	}
	if err == nil && barred != "" {
		err = s.refuse(ctx, capf.ResultInvalidAuthString, barred)
	}
	return err
}

// isBarred says why no string is compared now, and nothing where one is.
func (s *session) isBarred(ctx context.Context) (why string, err error) {
	wrong, err := s.server.Strings.WrongStrings(ctx, s.device, s.phone.Last.Ref, s.info.Address)
	if err != nil {
		return "", err
	}
	if wrong.Exhausted() {
		return "too many wrong authentication strings: the string is void", nil
	}
	if until := wrong.WaitUntil(s.server.Clock()); !until.IsZero() {
		return "too many wrong authentication strings: none is compared until " + capf.FormatTime(until), nil
	}
	return "", nil
}

const wrongString = "wrong authentication string"

// compare gives an error with CodeAuthentication for a wrong string, which it has counted. It holds the lock for
// all that must not slip past the count, and lets go of it also where something fails inside: other phones
// have the same lock.
func (s *session) compare(ctx context.Context, response wire.AuthenticationResponse) (barred string, err error) {
	lock := s.server.strings.of(s.device)
	lock.Lock()
	defer lock.Unlock()
	if barred, err = s.isBarred(ctx); err != nil || barred != "" {
		return barred, err
	}
	if s.phone.AuthString.Equal(response.Password.Reveal()) {
		return "", nil
	}
	wrong, err := s.server.Strings.CountWrongString(ctx, s.phone.Last.Ref, s.newAttempt(capf.ResultInvalidAuthString, wrongString))
	if err != nil {
		return "", err
	}
	if wrong.Exhausted() {
		s.log.Warn("too many wrong authentication strings: the operation has failed", "wrong", wrong.InAll)
	}
	return "", &capf.Error{Code: capf.CodeAuthentication, Message: wrongString}
}
