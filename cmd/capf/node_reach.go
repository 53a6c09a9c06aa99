package main

import (
	"errors"

	"capf/ctl/distribute"
	"capf/runtime/capf"
	"capf/runtime/daemon"
)

// reach gives what it takes to get to the nodes: by file and by SFTP, under the limits of the configuration.
func (a *app) reach() (distribute.Options, error) {
	settings, err := a.settings()
	if err != nil {
		return distribute.Options{}, err
	}
	return daemon.Reach(settings.Distribute, a.data), nil
}

// reachAlone is reach for work that writes to the nodes: one process at a time from a data directory.
func (a *app) reachAlone(work func(distribute.Options) error) (err error) {
	options, err := a.reach()
	if err != nil {
		return err
	}
	lock, err := distribute.Lock(a.data)
	if errors.Is(err, distribute.ErrLocked) {
		return &capf.Error{Code: capf.CodeBusy, Message: "nodes", Err: err}
	}
	if err != nil {
		return &capf.Error{Code: capf.CodeUnavailable, Message: "nodes", Err: err}
	}
	defer func() {
		if unlocked := lock.Unlock(); err == nil {
			err = unlocked
		}
	}()
	options.Instance = lock.Instance
	return work(options)
}
