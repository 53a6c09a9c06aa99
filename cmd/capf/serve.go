package main

import (
	"fmt"

	"capf/runtime/config"
	"capf/runtime/daemon"
)

type serveCommand struct {
	Listen      string `help:"Address for phones; default: the configuration, else every address and the enterprise parameter capf-phone-port." placeholder:"ADDR"`
	AdminListen string `help:"Address for people and monitors, or off." placeholder:"ADDR"`
}

// Validate refuses what is no address, as the configuration does.
func (c *serveCommand) Validate() error {
	if c.Listen != "" && !config.IsAddress(c.Listen) {
		return fmt.Errorf("--listen %s: use host:port", c.Listen)
	}
	if c.AdminListen != "" && c.AdminListen != config.AdminOff && !config.IsAddress(c.AdminListen) {
		return fmt.Errorf("--admin-listen %s: use host:port or off", c.AdminListen)
	}
	return nil
}

// Run serves until it is interrupted.
func (c *serveCommand) Run(app *app) (err error) {
	settings, err := app.settings()
	if err != nil {
		return err
	}
	log, level, err := app.logger(settings.Log)
	if err != nil {
		return err
	}
	app.forService(log)
	if err := remindBeforeServing(app); err != nil {
		return err
	}
	service, err := daemon.Open(app.ctx, daemon.Options{Data: app.data, Config: settings, Listen: c.Listen,
		AdminListen: c.AdminListen, Log: log, LogLevel: level, Environment: app.environment()})
	if err != nil {
		return err
	}
	defer closeInto(&err, service)
	ready := fmt.Sprintf("ready phone=%s admin=%s", service.PhoneAddress(), service.AdminURL())
	if files := service.FilesAddress(); files != "" {
		ready += " files=" + files
	}
	fmt.Fprintln(app.stderr, ready)
	return service.Run(app.ctx)
}
