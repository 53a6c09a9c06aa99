package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"

	"golang.org/x/term"

	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/config"
	"capf/runtime/daemon"
	"capf/runtime/store/sqlite"
)

// app is what every command gets: where the data is, and where its words go.
type app struct {
	ctx      context.Context
	data     string
	config   string
	json     bool
	logLevel string
	stdin    io.Reader
	stdout   io.Writer
	stderr   io.Writer
	opened   *hardware // nil: no token was needed yet
}

// store opens the store of the data directory; the caller closes it.
func (a *app) store() (*sqlite.Store, error) {
	if err := sqlite.CheckBeside(a.ctx, a.storePath()); err != nil {
		return nil, err
	}
	return sqlite.Open(a.ctx, sqlite.Options{Path: a.storePath()})
}

// newStore is store, but makes it or brings its schema up to date where needed, and sees that nobody else
// can look into the data directory.
func (a *app) newStore() (*sqlite.Store, error) {
	if err := a.checkOwn(); err != nil {
		return nil, err
	}
	if err := sqlite.CheckBeside(a.ctx, a.storePath()); err != nil {
		return nil, err
	}
	store, err := sqlite.Open(a.ctx, sqlite.Options{Path: a.storePath(), Create: true, Upgrade: true})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(a.data, 0o700); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	if done := store.Upgraded(); done != nil {
		a.say("the store was upgraded from schema %d to %d; the copy from before is %s, with which an older capf can go on", done.From, done.To, done.Copy)
	}
	return store, nil
}

func (a *app) storePath() string { return storeOf(a.data) }

// storeOf gives the store of a data directory.
func storeOf(data string) string { return filepath.Join(data, daemon.StoreFile) }

// withStore runs something on the store.
func (a *app) withStore(do func(*sqlite.Store) error) (err error) {
	store, err := a.store()
	if err != nil {
		return err
	}
	defer closeInto(&err, store)
	return do(store)
}

// closeInto closes and keeps the first error.
func closeInto(err *error, closer io.Closer) {
	if problem := closer.Close(); *err == nil {
		*err = problem
	}
}

// authority loads the CAPF identity.
func (a *app) authority() (*ca.Authority, error) { return ca.Load(a.data, a.environment()) }

// settings reads the configuration file; the log level of the command line stands above it.
func (a *app) settings() (config.Config, error) {
	settings, err := config.Load(a.config)
	if err != nil {
		return config.Config{}, err
	}
	if a.logLevel != "" {
		settings.Log.Level = a.logLevel
	}
	return settings, settings.Validate()
}

// logger writes to standard error, from a level that can be changed later.
func (a *app) logger(settings config.Log) (*slog.Logger, *slog.LevelVar, error) {
	configured, err := settings.SlogLevel()
	if err != nil {
		return nil, nil, &capf.Error{Code: capf.CodeInvalid, Message: "log level", Err: err}
	}
	level := new(slog.LevelVar)
	level.Set(configured)
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: logTime}
	if settings.Format == "json" {
		return slog.New(slog.NewJSONHandler(a.stderr, options)), level, nil
	}
	return slog.New(slog.NewTextHandler(a.stderr, options)), level, nil
}

// logTime writes the time of a line as all other times are written: UTC, whole seconds.
func logTime(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) == 0 && attr.Key == slog.TimeKey && attr.Value.Kind() == slog.KindTime {
		return slog.String(slog.TimeKey, capf.FormatTime(attr.Value.Time()))
	}
	return attr
}

// actor is the person at the keyboard, for the history.
func actor() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if current, err := user.Current(); err == nil {
		return current.Username
	}
	return "unknown"
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
