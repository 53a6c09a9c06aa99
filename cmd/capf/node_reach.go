package main

import (
	"errors"
	"path/filepath"

	"capf/ctl/distribute"
	"capf/runtime/capf"
)

// knownHostsFile is where host keys of servers are unless the configuration names another file.
const knownHostsFile = "known_hosts"

// reach gives what it takes to get to the nodes: by file and by SFTP, under the limits of the configuration.
func (a *app) reach() (distribute.Options, error) {
	settings, err := a.settings()
	if err != nil {
		return distribute.Options{}, err
	}
	by := settings.Distribute
	login := distribute.SSH{User: by.User, Password: string(by.Password), Identities: by.IdentityFiles, Passphrase: string(by.Passphrase), Agent: by.AgentAt,
		KnownHosts: by.KnownHosts, ConnectTimeout: by.ConnectTimeout.Duration, OperationTimeout: by.OperationTimeout.Duration}
	if login.KnownHosts == "" {
		login.KnownHosts = filepath.Join(a.data, knownHostsFile)
	}
	return distribute.Options{Parallel: by.Parallel, Timeout: by.NodeTimeout.Duration,
		Openers: map[string]distribute.Opener{"file": distribute.OpenFolder, "sftp": login.Opener()}}, nil
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
