// Package checklist holds the cluster against the checklist of the guide: table 4-1 (capf-guide.md, F) as a list
// whose steps are done, to do, or not to be known from here, each with its evidence and the next command; and
// for a phone the list that is gone through before an authentication string is typed.
//
// It decides by Facts that somebody else has gathered, and changes nothing.
package checklist
