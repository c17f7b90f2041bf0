# Reads and sets how Netlogon changes the machine password. Needs probe.ps1.

# The security options of Group Policy are written here, over what stood there before.
$OwnKey = 'SYSTEM\CurrentControlSet\Services\Netlogon\Parameters'
# A template of Group Policy may set them here; these count first.
$PolicyKey = 'SOFTWARE\Policies\Microsoft\Netlogon\Parameters'

# Reads one DWORD; null where key or value is missing.
function Get-RegistryNumber([string]$Key, [string]$Name) {
    $opened = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($Key)
    if ($null -eq $opened) { return $null }
    try {
        $value = $opened.GetValue($Name)
        if ($null -eq $value) { return $null }
        return ([long]$value -band 4294967295)
    } finally {
        $opened.Close()
    }
}

# Reads a value that counts: the template's before Netlogon's own.
function Get-Effective([string]$Name) {
    $value = Get-RegistryNumber $PolicyKey $Name
    if ($null -eq $value) { $value = Get-RegistryNumber $OwnKey $Name }
    return $value
}

# Reads the three settings; what is not set is null.
function Get-Rotation {
    return [PSCustomObject][ordered]@{
        maximum_age_days = Get-Effective 'MaximumPasswordAge'
        changes_disabled = Get-Effective 'DisablePasswordChange'
        changes_refused = Get-Effective 'RefusePasswordChange'
    }
}
