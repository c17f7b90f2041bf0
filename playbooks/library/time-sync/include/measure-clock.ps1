# Measures this PC's clock against a domain controller's, by two means. Needs clock.ps1.

# Two means that differ by no more than this, in seconds, agree: LDAP tells whole seconds.
$Agreement = 5

# Measures by SNTP and by LDAP, side by side as witnesses. Yields PC minus controller in seconds;
# null: that one did not answer. offset is what counts: SNTP is the finer one, but where the two
# differ the controller's own word in LDAP is what Kerberos goes by; something else answers NTP.
function Measure-Clock([string]$Server) {
    $measured = @{ sntp = $null; ldap = $null; offset = $null; source = $null; agree = $null }
    $address = Invoke-Probe 'resolve' { Resolve-Address $Server 8000 }
    if ($null -ne $address) {
        $seconds = Invoke-Probe 'sntp' { Get-SntpOffset $address }
        if ($null -ne $seconds) { $measured.sntp = [Math]::Round($seconds, 3) }
    }
    $seconds = Invoke-Probe 'ldap' { Get-LdapOffset $Server }
    if ($null -ne $seconds) { $measured.ldap = [Math]::Round($seconds, 0) }
    if ($null -ne $measured.sntp -and $null -ne $measured.ldap) {
        $measured.agree = [Math]::Abs($measured.sntp - $measured.ldap) -le $Agreement
    }
    if ($null -ne $measured.sntp -and $measured.agree -ne $false) {
        $measured.offset = $measured.sntp
        $measured.source = 'sntp'
    } elseif ($null -ne $measured.ldap) {
        $measured.offset = $measured.ldap
        $measured.source = 'ldap'
    }
    return $measured
}
