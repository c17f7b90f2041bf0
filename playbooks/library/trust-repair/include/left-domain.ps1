# What a PC that fleetmend took out of its domain remembers of it.

# Where a PC that is taken out of its domain keeps what the domain was.
$LeftKey = 'SOFTWARE\fleetmend\LeftDomain'

# Returns what this PC noted when it was taken out of its domain; null where it was not.
function Get-LeftDomain {
    $opened = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey($LeftKey)
    if ($null -eq $opened) { return $null }
    try {
        $left = [PSCustomObject][ordered]@{ domain = $null; ou = $null; domain_controller = $null }
        foreach ($field in 'domain', 'ou', 'domain_controller') {
            $value = $opened.GetValue($field)
            if ($value) { $left.$field = [string]$value }
        }
        return $left
    } finally {
        $opened.Close()
    }
}

# Notes the domain that is left, before it is.
function Set-LeftDomain([string]$Domain, [string]$Unit, [string]$Controller) {
    $key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey($LeftKey)
    try {
        $key.SetValue('domain', $Domain)
        $key.SetValue('ou', $Unit)
        $key.SetValue('domain_controller', $Controller)
    } finally {
        $key.Close()
    }
}

# Forgets it, once the PC is a member again.
function Clear-LeftDomain {
    [Microsoft.Win32.Registry]::LocalMachine.DeleteSubKey($LeftKey, $false)
}
