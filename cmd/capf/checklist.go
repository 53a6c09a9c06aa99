package main

import (
	"fmt"
	"strings"

	"capf/internal/plain"
	"capf/runtime/capf"
	"capf/runtime/checklist"
)

type checklistCommand struct {
	Devices []string `arg:"" optional:"" name:"device" help:"Phones: what has to be in order before a string is typed there."`
}

// Run holds the cluster against the checklist of the guide, or the phones against that for an authentication
// string. While something is to do the exit status is 3.
func (c *checklistCommand) Run(app *app) error {
	devices, err := parseDevices(c.Devices)
	if err != nil {
		return err
	}
	gathering := &gathering{app: app, facts: checklist.Facts{Data: app.data}}
	stories, err := gathering.all(devices)
	if err != nil {
		return err
	}
	if len(devices) == 0 {
		return printSteps(app, checklist.Cluster(&gathering.facts))
	}
	return printDevices(app, &gathering.facts, stories)
}

func printSteps(app *app, steps []checklist.Step) error {
	list := app.list("step", "what", "state", "evidence", "next")
	for _, one := range steps {
		if err := list.add(one.Number, one.What, one.State, one.Evidence, app.onThisData(one.Next)); err != nil {
			return err
		}
	}
	if err := list.close(); err != nil {
		return err
	}
	return stillOpen(checklist.Open(steps), len(steps))
}

func printDevices(app *app, facts *checklist.Facts, stories []*capf.Story) error {
	list := app.list("device", "step", "what", "state", "evidence", "next")
	open, all := 0, 0
	for _, story := range stories {
		steps := checklist.Device(facts, story)
		open, all = open+checklist.Open(steps), all+len(steps)
		for _, one := range steps {
			if err := list.add(story.Phone.Device, one.Number, one.What, one.State, one.Evidence, app.onThisData(one.Next)); err != nil {
				return err
			}
		}
	}
	if err := list.close(); err != nil {
		return err
	}
	return stillOpen(open, all)
}

// onThisData has the commands in a text be those that work on this data directory, as they are pasted into a shell.
func (a *app) onThisData(text string) string {
	return strings.ReplaceAll(text, "`capf ", "`"+a.commandLine()+" ")
}

func stillOpen(open, all int) error {
	if open == 0 {
		return nil
	}
	return &capf.Error{Code: capf.CodePart, Message: fmt.Sprintf("%d of %s %s to do", open, plain.Counted(all, "step"), isOrAre(open)), Hint: "the column `next` says what"}
}
