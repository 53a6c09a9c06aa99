// Package daemon puts the service together: store, CAPF identity, phone service and admin address; it opens
// them in order, runs them until it is told to stop, and closes them in reverse.
package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"github.com/hashicorp/go-multierror"
	"golang.org/x/sync/errgroup"

	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/config"
	"capf/runtime/phonefiles"
	"capf/runtime/reset"
	"capf/runtime/session"
	"capf/runtime/store"
	"capf/runtime/store/sqlite"
	"capf/runtime/web"
)

// StoreFile is the name of the store in a data directory.
const StoreFile = "capf.db"

// Options say what to run.
type Options struct {
	Data        string // directory
	Config      config.Config
	Listen      string // over Config.Phone.Listen; empty: none
	AdminListen string // over Config.Admin.Listen; empty: none
	Log         *slog.Logger
	LogLevel    *slog.LevelVar // of Log, to be changed while the service runs; nil: it stays
	Environment ca.Environment
}

// Daemon is an open service.
type Daemon struct {
	options  Options
	identity *identity
	lock     *store.ServeLock
	store    *sqlite.Store
	phones   net.Listener
	admin    net.Listener // nil where it is off
	files    net.Listener // nil where phones fetch no files here
	server   *session.Server
	socket   net.Listener // nil where it could not be made
	tracer   *tracer
	metrics  *web.Metrics
	resetter *reset.Resetter // nil: none is configured
}

const (
	expireEvery  = time.Minute
	expireAtOnce = 500             // operations a transaction
	stopWithin   = 2 * time.Second // for answers over HTTP that have begun

	// keepAlive holds firewalls open while a phone makes its keys for half an hour in silence.
	keepAliveIdle = 60 * time.Second
	keepAliveStep = 20 * time.Second
)

// Open takes the data directory for this service and its addresses. Without a CAPF identity it fails with
// CodeNotActivated; beside another service with CodeBusy.
func Open(ctx context.Context, options Options) (daemon *Daemon, err error) {
	identity, err := openIdentity(options.Data, options.Environment, options.Log)
	if err != nil {
		return nil, err
	}
	d := &Daemon{options: options, identity: identity}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if d.resetter, err = NewResetter(options.Config.Reset); err != nil {
		return nil, err
	}
	if d.lock, err = store.TakeServeLock(options.Data); err != nil {
		return nil, err
	}
	path := filepath.Join(options.Data, StoreFile)
	if d.store, err = sqlite.Open(ctx, sqlite.Options{Path: path, Clock: options.Environment.Clock}); err != nil {
		return nil, err
	}
	if err := d.lock.TellFiles(d.store.Files()); err != nil {
		return nil, err
	}
	if err := d.listen(ctx); err != nil {
		return nil, err
	}
	if err := d.listenFiles(ctx); err != nil {
		return nil, err
	}
	split, err := session.SplitsRecords(identity.Authority().TLS())
	if err != nil {
		return nil, err
	}
	d.metrics = web.NewMetrics(!split)
	if d.server, err = d.newServer(); err != nil {
		return nil, err
	}
	d.metrics.Watch(d.server, d.store, d.server.Settings.MaxSessions, options.Environment.Clock, options.Log)
	d.openSocket(ctx)
	if err := d.openTracer(ctx); err != nil {
		return nil, err
	}
	return d, d.warn(ctx, split)
}

func (d *Daemon) newServer() (*session.Server, error) {
	phone := d.options.Config.Phone
	sessions, waiting, err := d.sessionLimits()
	if err != nil {
		return nil, err
	}
	return &session.Server{
		Phones: d.store, Operations: d.store, Identities: d.identity, Strings: d.store, HeldCalls: d.store, Trust: &trust{store: d.store, own: d.identity.Certificate},
		Traces: traces{folder: filepath.Join(d.options.Data, "traces")},
		Settings: session.Settings{
			MinTLS: phone.TLS(), MaxSessions: sessions, MaxSessionsPerAddress: phone.MaxSessionsPerAddress, MaxWaiting: waiting,
			HandshakeTimeout: phone.HandshakeTimeout.Duration, MessageTimeout: phone.MessageTimeout.Duration,
			AnnounceAuthenticationType: phone.AnnounceAuthenticationType,
		},
		Instance: d.lock.Instance(),
		Clock:    d.options.Environment.Clock,
		Random:   rand.Reader,
		Log:      d.options.Log,
		Observer: d.metrics,
	}, nil
}

// listen opens the address for phones and that for people.
func (d *Daemon) listen(ctx context.Context) error {
	address, err := d.phoneAddress(ctx)
	if err != nil {
		return err
	}
	listen := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAliveIdle, Interval: keepAliveStep}}
	if d.phones, err = listen.Listen(ctx, "tcp", address); err != nil {
		return unavailable("listen for phones", err)
	}
	adminAddress := d.adminAddress(address)
	if adminAddress == config.AdminOff {
		return nil
	}
	listener, err := listen.Listen(ctx, "tcp", adminAddress)
	if err != nil {
		return unavailable("listen for administration", err)
	}
	d.admin = phonefiles.Limit(listener, adminConnections)
	return nil
}

func unavailable(what string, err error) error {
	return &capf.Error{Code: capf.CodeUnavailable, Message: what, Err: err, Hint: "choose another address, or end what uses this one"}
}

// phoneAddress is the first that is set of: the command, the configuration, the enterprise parameter (C9).
func (d *Daemon) phoneAddress(ctx context.Context) (string, error) {
	if d.options.Listen != "" {
		return d.options.Listen, nil
	}
	if d.options.Config.Phone.Listen != "" {
		return d.options.Config.Phone.Listen, nil
	}
	parameters, err := d.store.Parameters(ctx)
	if err != nil {
		return "", err
	}
	return ":" + strconv.Itoa(parameters.PhonePort()), nil
}

// adminAddress follows the phone port to 0, so that trials take no fixed port.
func (d *Daemon) adminAddress(phoneAddress string) string {
	if d.options.AdminListen != "" {
		return d.options.AdminListen
	}
	configured := d.options.Config.Admin.Listen
	if _, port, err := net.SplitHostPort(phoneAddress); err == nil && port == "0" && configured == config.Default().Admin.Listen {
		return "127.0.0.1:0"
	}
	return configured
}

// PhoneAddress is the address for phones, with the port that the system gave.
func (d *Daemon) PhoneAddress() string { return d.phones.Addr().String() }

// AdminURL is the address for people, `off` where there is none.
func (d *Daemon) AdminURL() string {
	if d.admin == nil {
		return config.AdminOff
	}
	return "http://" + d.admin.Addr().String()
}

// Run answers phones until the context ends. Sessions in flight are ended and recorded before it returns.
func (d *Daemon) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.server.Serve(ctx, d.phones) })
	group.Go(func() error { return every(ctx, expireEvery, d.expire) })
	group.Go(func() error { return every(ctx, upkeepEvery, d.newUpkeep().run) })
	group.Go(func() error { return every(ctx, lookEvery, d.tracer.follow) })
	group.Go(func() error { return d.followActivations(ctx) })
	group.Go(func() error { return d.newDrift().run(ctx) })
	if d.socket != nil {
		group.Go(func() error { return d.serveSocket(ctx) })
	}
	if d.admin != nil {
		group.Go(func() error { return d.serveAdmin(ctx) })
	}
	if d.files != nil {
		group.Go(func() error { return d.serveFiles(ctx) })
	}
	return group.Wait()
}

func (d *Daemon) serveAdmin(ctx context.Context) error {
	return serveUntil(ctx, web.NewServer(d.adminHandler(), d.options.Log), d.admin, stopWithin)
}

// serveUntil answers until the context ends, and then for a moment at most until those answers are finished that have
// begun. What they need is there until it returns.
func serveUntil(ctx context.Context, server *http.Server, listener net.Listener, moment time.Duration) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("answer at %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), moment)
	defer cancel()
	if server.Shutdown(late) != nil {
		_ = server.Close() // what it could not close is lost anyway
	}
	return nil
}

// adminHandler puts together what is answered on the admin address.
func (d *Daemon) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", web.Handler(d.store, d.options.Log))
	served := web.CRLHandler(newCRLs(d.store, d.identity, d.options.Environment), d.options.Log)
	mux.Handle("GET "+web.PathCRL, served)
	mux.Handle("GET "+web.PathCRLs, served)
	mux.Handle("GET /metrics", d.metrics.Handler(d.options.Log))
	return mux
}

// every does something now, and again after each interval, until the context ends.
func every(ctx context.Context, interval time.Duration, do func(context.Context)) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		do(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// expire ends the operations whose deadline has passed, so that their strings are void on disk too. That they read as
// expired does not wait for it.
func (d *Daemon) expire(ctx context.Context) {
	for count := expireAtOnce; count == expireAtOnce; {
		var err error
		count, err = d.store.ExpireOperations(ctx, d.options.Environment.Clock(), expireAtOnce)
		if err != nil && ctx.Err() == nil {
			d.options.Log.Error("operations past their deadline could not be ended", "error", err)
		}
		if count > 0 {
			d.options.Log.Info("operations expired", "count", count)
			d.metrics.OperationsExpired(count)
		}
	}
}

// Close gives everything back, also after an Open that failed.
func (d *Daemon) Close() error {
	var problems *multierror.Error
	for _, listener := range []net.Listener{d.phones, d.admin, d.files, d.socket} {
		if listener != nil {
			if err := listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				problems = multierror.Append(problems, err)
			}
		}
	}
	if d.store != nil {
		problems = multierror.Append(problems, d.store.Close())
	}
	if d.lock != nil {
		problems = multierror.Append(problems, d.lock.Release())
	}
	return problems.ErrorOrNil()
}
