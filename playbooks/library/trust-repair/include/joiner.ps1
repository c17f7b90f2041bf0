# The domain credential by which a PC is joined, in memory that is wiped. Needs probe.ps1,
# membership.ps1 and credential.ps1. Its password is added by who has it, character by character:
# module logging (event 4103) would write down the argument of a cmdlet or function.

# Makes room for it.
function New-Joiner([string]$User) {
    Import-MembershipApi
    $text = New-Object Fleetmend.JoinText 256
    return @{ user = $User; text = $text; secure = (New-Object System.Security.SecureString) }
}

# Tries it once at a controller: 0 if that accepts it, else the Win32 code with which it refuses;
# throws if it could not be asked.
function Test-Joiner([string]$Server, $Joiner) {
    $whole = New-Object System.Management.Automation.PSCredential $Joiner.user, $Joiner.secure
    return Test-Credential $Server $whole.GetNetworkCredential()
}

# Wipes it.
function Remove-Joiner($Joiner) {
    $Joiner.text.Dispose()
    $Joiner.secure.Dispose()
}
