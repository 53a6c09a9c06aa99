package distribute

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"path"
	"slices"

	"capf/ctl"
)

// Lacking reads the list that each node holds now, and gives, for each node in their order, why it does not
// have the certificate as CAPF's: no list, one that does not verify, another list, or a node that does not
// answer. Nil where it has. Errors name their node. Nothing is written.
func Lacking(ctx context.Context, nodes []Node, capf *x509.Certificate, options Options) []error {
	results := make([]error, len(nodes))
	options.each(ctx, nodes, func(ctx context.Context, i int, node Node, open opening, err error) {
		if err == nil {
			err = bounded(ctx, func(ctx context.Context) error {
				return (&run{ctx: ctx, node: node, wishes: &wishes{}}).lacks(open, capf)
			}, func(err error) error { return err })
		}
		results[i] = ofNode(node.Name, err)
	})
	return results
}

func (r *run) lacks(open opening, capf *x509.Certificate) error {
	if err := r.open(open); err != nil {
		return err
	}
	name := path.Join(r.node.TFTPDir, ctl.FileName)
	list, exists, err := r.read(name, maxExisting)
	if closed := r.target.Close(); err == nil {
		err = closed
	}
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	case !exists:
		return fmt.Errorf("%s: is not there", name)
	}
	if err := holds(list, capf); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// holds says why phones with this list would not take the certificate as CAPF's.
func holds(list []byte, capf *x509.Certificate) error {
	verification, err := ctl.Verify(list)
	if err != nil {
		return fmt.Errorf("does not verify: %w", err)
	}
	certificates, err := verification.File.Certificates(ctl.RoleCAPF)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(certificates, capf.Equal) {
		return errors.New("does not hold the certificate")
	}
	return nil
}
