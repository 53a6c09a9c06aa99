//go:build !race

package ctl

const allocatedTimes = 1
