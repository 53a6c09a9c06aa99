package daemon

import (
	"context"
	"fmt"
	"os"

	"capf/runtime/capf"
	"capf/runtime/store/sqlite"
)

// placedStore is the store as long as its file lies where it was opened. SQLite goes on with a file that was
// removed or replaced under it: what it writes then nobody finds again, so that a certificate would leave that
// is in no store. A file that is put back is taken up again.
type placedStore struct {
	*sqlite.Store
	path   string
	opened os.FileInfo
}

// placed is the store that has just been opened.
func placed(store *sqlite.Store, path string) (*placedStore, error) {
	opened, err := os.Stat(path)
	if err != nil {
		return nil, gone(path, err)
	}
	return &placedStore{Store: store, path: path, opened: opened}, nil
}

// inPlace reports, with CodeUnavailable, that the file is not where it was.
func (p *placedStore) inPlace() error {
	found, err := os.Stat(p.path)
	if err != nil {
		return gone(p.path, err)
	}
	if !os.SameFile(p.opened, found) {
		return &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("store %s is another file than the one that the service has open", p.path),
			Hint: "restart the service, or put back the one that was there"}
	}
	return nil
}

func gone(path string, err error) error {
	return &capf.Error{Code: capf.CodeUnavailable, Message: fmt.Sprintf("store %s is gone", path), Err: err,
		Hint: "put it back, or stop the service and restore a backup"}
}

// Phone is the first that a session asks.
func (p *placedStore) Phone(ctx context.Context, device string) (capf.Phone, error) {
	if err := p.inPlace(); err != nil {
		return capf.Phone{}, err
	}
	return p.Store.Phone(ctx, device)
}

// BeginOperation writes that a session serves the operation. It does not look afterwards: nothing goes to the phone
// for it, and what follows looks.
func (p *placedStore) BeginOperation(ctx context.Context, device string, ref capf.OperationRef, info capf.SessionInfo) error {
	if err := p.inPlace(); err != nil {
		return err
	}
	return p.Store.BeginOperation(ctx, device, ref, info)
}

// AddIssued looks when the certificate has been written: only then may it leave.
func (p *placedStore) AddIssued(ctx context.Context, ref capf.OperationRef, certificate capf.Certificate) (int64, error) {
	id, err := p.Store.AddIssued(ctx, ref, certificate)
	if err == nil {
		err = p.inPlace()
	}
	return id, err
}

// EndOperation writes the outcome, before the phone hears of it.
func (p *placedStore) EndOperation(ctx context.Context, device string, ref capf.OperationRef, outcome capf.Outcome) error {
	return p.done(func() error { return p.Store.EndOperation(ctx, device, ref, outcome) })
}

// Check is what /healthz asks.
func (p *placedStore) Check(ctx context.Context) error {
	if err := p.inPlace(); err != nil {
		return err
	}
	return p.Store.Check(ctx)
}
