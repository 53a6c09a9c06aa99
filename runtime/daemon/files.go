package daemon

import (
	"context"
	"crypto/x509"
	"net"
	"sync"
	"time"

	"capf/ctl/distribute"
	"capf/runtime/capf"
	"capf/runtime/phonefiles"
)

// mostFileConnections is how many phones may fetch files at a time: each takes some milliseconds, and the next wait.
const mostFileConnections = 256

// fileConnections gives how many, of so many files that the service may have open: it leaves more than three quarters
// of them to sessions. None where phones get no files here.
func (d *Daemon) fileConnections(descriptors int) int {
	if !d.options.Config.Files.IsOn() {
		return 0
	}
	const share = 5 * phonefiles.DescriptorsPerConnection
	return min(mostFileConnections, max(1, descriptors/share))
}

// listenFiles opens the address at which phones fetch files, where that is wanted.
func (d *Daemon) listenFiles(ctx context.Context) error {
	settings := d.options.Config.Files
	if !settings.IsOn() {
		return nil
	}
	if settings.Folder != "" {
		othersWrite, err := phonefiles.CheckFolder(settings.Folder)
		if err != nil {
			return &capf.Error{Code: capf.CodeUnavailable, Message: "folder of phone files", Err: err, Hint: "make it, or change files.folder"}
		}
		if othersWrite {
			d.options.Log.Warn("every user of this machine can put files into the folder that phones get theirs from: run chmod o-w", "folder", settings.Folder)
		}
		d.options.Log.Warn("whoever reaches the address can read the configuration files of all phones, with the passwords in them, unencrypted and without a login: let only phones reach it",
			"address", settings.Listen, "folder", settings.Folder)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", settings.Listen)
	if err != nil {
		return unavailable("listen for phones that fetch files", err)
	}
	descriptors, err := openFiles()
	if err != nil {
		return err
	}
	d.files = phonefiles.Limit(listener, d.fileConnections(descriptors))
	return nil
}

// FilesAddress is the address at which phones fetch files, with the port that the system gave; empty where they do not.
func (d *Daemon) FilesAddress() string {
	if d.files == nil {
		return ""
	}
	return d.files.Addr().String()
}

// serveFiles answers phones that fetch files until the context ends.
func (d *Daemon) serveFiles(ctx context.Context) error {
	handler := phonefiles.Handler(phonefiles.Options{Lists: &fieldLists{store: d.store, inForce: d.identity.Certificate},
		Folder: d.options.Config.Files.Folder, Log: d.options.Log,
		Observe: func(kind phonefiles.Kind, status int) { d.metrics.FileAnswered(string(kind), status) }})
	return serveUntil(ctx, phonefiles.NewServer(handler, d.options.Log), d.files, stopWithin)
}

// listStore has the trust lists.
type listStore interface {
	LatestCTL(ctx context.Context) (capf.CTLVersion, error)
}

// fieldLists gives phones the list that `capf ctl distribute` would bring to servers: the newest, and only where that
// verifies and holds the CAPF certificate in force.
type fieldLists struct {
	store   listStore
	inForce func() *x509.Certificate

	mu       sync.Mutex
	judged   string // SHA-256 of the lists that were judged last, and of the certificate in force then
	judgment error
}

// List gives the newest CTL, or the ITL that was made with it, as phonefiles wants them. Where none was made with it an
// ITL can only be in the folder. Neither is given where one of both must not be.
func (l *fieldLists) List(ctx context.Context, kind phonefiles.Kind) (content []byte, since time.Time, err error) {
	latest, err := l.store.LatestCTL(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	content = latest.File
	if kind == phonefiles.KindITL {
		content = latest.ITL
	}
	if len(content) == 0 {
		return nil, time.Time{}, &capf.Error{Code: capf.CodeNotFound, Message: "there is no such trust list in the store"}
	}
	if err := l.judge(latest); err != nil {
		return nil, time.Time{}, refusedList(latest, err)
	}
	return content, latest.AddedAt, nil
}

// judge says why a list is not to be had; once for each, since phones ask often.
func (l *fieldLists) judge(list capf.CTLVersion) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	inForce := l.inForce()
	if of := capf.HexSHA256(list.File) + capf.HexSHA256(list.ITL) + capf.HexSHA256(inForce.Raw); of != l.judged {
		_, l.judgment = payloadOf(distribute.Certificates{InForce: inForce}, list)
		l.judged = of
	}
	return l.judgment
}
