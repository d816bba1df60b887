# shellcheck shell=sh
# The end of stage-0. Whatever comes after it finds PCR 14 extended: with the release's digest when the
# release is started, with the poison value on every other way out. So it can never pass for a boot.

# handover_release HOW: kexec or print. Nothing but this function starts a release. The kernel is loaded
# first, so that one that the firmware's keys do not allow ends in poison and not half-way.
handover_release() {
  handover_read_release
  case $1-$handover_kind in
    kexec-kexec) handover_kexec_load ;;
    print-*) ;;
    *) stop handover-unsupported "This agent cannot hand over by $handover_kind." ;;
  esac
  floor_keep "$handover_channel"
  handover_spend_pcr14
  mark handover "how=$1" "channel=$handover_channel" "version=$handover_version" "digest=$handover_digest"
  say "Handing over to $handover_name."
  case $1 in
    kexec) kexec -e || stop handover-failed "The loaded kernel does not start." ;;
    print) handover_print ;;
  esac
}

# What the attempt has verified and left behind (artifacts.sh); names and command line are printable.
handover_read_release() {
  release=$BOOTWARD_RUN/release
  {
    read -r _
    IFS= read -r handover_kind && IFS= read -r handover_name && IFS= read -r handover_cmdline
    IFS= read -r handover_name_json
  } <"$release/parts"
  {
    read -r handover_channel && read -r handover_version && read -r handover_digest && read -r handover_ek
    read -r handover_identity && read -r handover_admission && read -r handover_state
  } <"$release/verdict"
}

# kexec_file_load: the kernel itself checks the signature where Secure Boot locks it down.
handover_kexec_load() {
  handover_boot_note >"$release/initrd"
  cat "$release/initramfs" >>"$release/initrd"
  rm -f "$release/initramfs"
  kexec -s -l "$release/kernel" --initrd="$release/initrd" --command-line="$handover_cmdline" \
    2>"$BOOTWARD_RUN/kexec.log" ||
    stop handover-failed "The release's kernel does not load: $(tail -n 1 "$BOOTWARD_RUN/kexec.log")"
}

# A small uncompressed cpio in front of the release's own: /run/bootward/boot.json tells the release what
# was decided. It is a note, not a proof.
handover_boot_note() {
  handover_root=$BOOTWARD_RUN/note
  mkdir -p "$handover_root/run/bootward"
  printf '{"release":{"channel":"%s","version":%s,"name":%s,"digest":"%s"},' \
    "$handover_channel" "$handover_version" "$handover_name_json" "$handover_digest" >"$handover_root/run/bootward/boot.json"
  printf '"facts":{"identity":"%s","admission":"%s","state":"%s"},"ekFingerprint":"%s","stage0Build":%s}\n' "$handover_identity" \
    "$handover_admission" "$handover_state" "$handover_ek" "$stage0_build" >>"$handover_root/run/bootward/boot.json"
  (cd "$handover_root" && printf 'run\nrun/bootward\nrun/bootward/boot.json\n' | cpio -o -H newc 2>/dev/null)
}

handover_print() {
  jq -cn --arg handover "$handover_kind" --arg cmdline "$handover_cmdline" --arg kernel "$release/kernel" \
    --arg initramfs "$release/initramfs" '{$handover, $cmdline, $kernel, $initramfs}'
}

# SHA-256(32 zero bytes, release digest) is what health evidence must show: anything else is not handed to.
handover_spend_pcr14() {
  handover_expected=$(unhex "$PCR_ZERO$handover_digest" | sha256sum | cut -c 1-64)
  if ! tpm_extend_pcr14 "$handover_digest" || [ "$(tpm_pcr14)" != "$handover_expected" ]; then
    stop pcr14-not-extended "PCR 14 does not take the release's digest: not handing over."
  fi
}

# handover_poison: leaves no PCR 14 of zero behind, however this ends; called again it does nothing.
handover_poison() {
  mkdir -p "$BOOTWARD_RUN"
  wire_close
  case $(tpm_pcr14) in
    '' | "$PCR_ZERO") ;;
    *) return 0 ;;
  esac
  tpm_extend_pcr14 "$(printf 'bootward poison v1' | sha256sum | cut -c 1-64)" || return
  mark poison
}
