package sqlite

import (
	"context"

	"capf/runtime/capf"
	"capf/runtime/store"
)

// FieldCTL gives the trust list that phones are taken to hold, with its bytes: the newest that any node got or that was
// imported, else the newest there is. CodeNotFound where there is none.
func (s *Store) FieldCTL(ctx context.Context) (capf.CTLVersion, error) {
	return s.oneCTL(ctx, noList, selectField, capf.CTLImported)
}

const selectField = selectCTL + ` ORDER BY distributed_at IS NOT NULL OR origin = +?1 DESC, version DESC LIMIT 1`

// ImportCTL is AddCTL for a list from the field. Where that is the one that phones are known to hold already, to record it
// again would say nothing new: nothing is added, and its version is given. An earlier one, or one that no node is known to
// have got, would. Of two that import the same list at the same time one adds it.
func (s *Store) ImportCTL(ctx context.Context, ctl capf.CTLVersion, actor string) (version int64, added bool, err error) {
	err = s.writer.Do(ctx, func(tx *store.Statements) error {
		field, err := oneCTLOf(tx, noList, selectField, capf.CTLImported)
		if err != nil && !capf.HasCode(err, capf.CodeNotFound) {
			return err
		}
		known := field.Origin == capf.CTLImported || !field.DistributedAt.IsZero()
		if added = err != nil || !known || field.SHA256 != ctl.SHA256; !added {
			version = field.Version
			return nil
		}
		version, err = s.addCTL(tx, ctl, actor)
		return err
	})
	if err != nil {
		return 0, false, err
	}
	return version, added, nil
}

// FieldITL is FieldCTL for the ITL: the version whose ITL phones are taken to hold. CodeNotFound where no version has one.
func (s *Store) FieldITL(ctx context.Context) (capf.CTLVersion, error) {
	return s.oneCTL(ctx, "no version of the trust list has an ITL", selectCTL+` WHERE itl IS NOT NULL ORDER BY distributed_at IS NOT NULL DESC, version DESC LIMIT 1`)
}

// KeepCTL is AddCTL, and in the same transaction adds and removes the security tokens that come and go with the list.
func (s *Store) KeepCTL(ctx context.Context, ctl capf.CTLVersion, change capf.TokenChange, actor string) (version int64, err error) {
	err = s.writer.Do(ctx, func(tx *store.Statements) error {
		for _, name := range change.Remove {
			if err := s.removeToken(tx, name, actor); err != nil {
				return err
			}
		}
		for _, token := range change.Add {
			if err := s.addToken(tx, token, actor); err != nil {
				return err
			}
		}
		version, err = s.addCTL(tx, ctl, actor)
		return err
	})
	if err != nil {
		return 0, err
	}
	return version, nil
}

// markDistributed notes when a node got a list first.
func markDistributed(tx *store.Statements, delivery capf.Delivery) error {
	if !delivery.Reached() {
		return nil
	}
	_, err := tx.Exec(`UPDATE ctl_versions SET distributed_at = ?2 WHERE version = +?1 AND distributed_at IS NULL`, delivery.Version, delivery.At.Unix())
	return err
}
